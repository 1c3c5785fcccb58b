/**
 * Small nasty scenarios for property tests of the engine against the oracle.
 *
 * Recorded traces are too kind: most faults of an engine show only where pools hold little more than
 * one sequence, budgets are a few tokens, thresholds cut, arrivals tie and callers hang up. Each seed
 * is one scenario; each feature is drawn on its own, so that they meet in all combinations.
 */

import type { KvTierConfig, StepCost, StepShape } from '../../src/core/engine.js';
import { type RandomStream, Rng } from '../../src/core/rng.js';
import { TICKS_PER_NS } from '../../src/core/units.js';
import {
  derive,
  type GoldenConfig,
  type GoldenRequest,
  type GoldenScenario,
  type Segment,
} from '../parity/golden.js';
import { promptLength } from './oracle/content.js';
import type { TimedRequest, TimedScenario } from './oracle/timed.js';

/** What a scenario may contain beside the basics; all off by default. */
export interface Features {
  readonly priority?: boolean;
  readonly async?: boolean;
  readonly prefixCaching?: boolean;
  readonly speculation?: boolean;
  /** Pipeline stages; only in time. */
  readonly stages?: boolean;
  readonly lora?: boolean;
}

/** Schedule calls after which a livelock is cut. */
const MAX_CALLS = 600;

type Kind = 'plain' | 'burst' | 'thrash' | 'threshold' | 'cadence' | 'long' | 'tiny';
const KINDS: readonly Kind[] = ['plain', 'burst', 'thrash', 'threshold', 'cadence', 'long', 'tiny'];

/** The scenario of `seed`, on a step clock. */
export function randomScenario(seed: number, features: Features = {}): GoldenScenario {
  const draw = new Draw(new Rng(seed).stream('scenario'));
  const kind = draw.of(KINDS);
  const shape = drawShape(draw, kind);
  const requests = drawRequests(draw, kind, shape, features);
  const config = drawConfig(draw, kind, shape, requests, features);
  return {
    name: `random_${seed}`,
    kind,
    max_steps: MAX_CALLS,
    config,
    derived: derive(config),
    requests,
  };
}

/**
 * The scenario of `seed` in time: the same kind of requests, with steps that cost an affine function of
 * their shape, often whole nanoseconds so that arrivals and cancellations fall exactly on boundaries.
 */
export function randomTimedScenario(seed: number, features: Features = {}): TimedScenario {
  const { name, config, requests } = randomScenario(seed, features);
  const draw = new Draw(new Rng(seed).stream('time'));
  const cost = withKnots(drawCost(draw), new Draw(new Rng(seed).stream('knots')));
  const unit = draw.of([1, 7, 50, 1000, 100_000]);
  const jitter = draw.chance(0.5) ? unit : 0;
  let last = 0;
  const timed = requests.map(({ abort, ...request }): TimedRequest => {
    last = Math.max(last, request.at * unit + draw.integer(0, jitter));
    if (!abort) return { ...request, at: last };
    const [step, when] = abort;
    const during = when === 'during' ? draw.integer(1, unit) : 0;
    return { ...request, at: last, cancelAt: Math.max(last, step * unit + during) };
  });
  const most = draw.of([0, 3, 400]) * TICKS_PER_NS;
  const adapterTicks = { loadTicks: draw.integer(0, most), fetchTicks: draw.integer(0, most) };
  return { name, config, cost, adapterTicks, requests: timed, maxCalls: MAX_CALLS };
}

/** Small tiers with slow links, on the clock of `randomTimedScenario`. */
export function randomTiers(seed: number): KvTierConfig[] {
  const draw = new Draw(new Rng(seed).stream('tiers'));
  return Array.from({ length: draw.integer(1, 3) }, (_, i) => ({
    name: `tier ${i}`,
    capacityBlocks: draw.of([0, 1, 3, 8, 20, Infinity]),
    bytesPerBlock: 100,
    readNsPerBlock: draw.of([0, 1, 37, 200]),
    writeNsPerBlock: 1,
    latencyNs: draw.of([0, 10, 1000]),
  }));
}

/** Sizes that decide how tight everything is. */
interface Shape {
  readonly blockSize: number;
  readonly maxModelLen: number;
  readonly longPrompt: number;
  readonly longOutput: number;
}

function drawShape(draw: Draw, kind: Kind): Shape {
  const tiny = kind === 'tiny';
  const longPrompt = tiny ? 6 : draw.of([12, 30, 60, kind === 'long' ? 200 : 90]);
  const longOutput = tiny ? 6 : draw.of([3, 10, 25, kind === 'long' ? 80 : 40]);
  // At times the window is shorter than what is asked for, so that requests stop at it.
  const window = Math.round((longPrompt + longOutput) * draw.of([1.3, 1.3, 1.05, 0.8]));
  return {
    blockSize: draw.of([1, 2, 3, 4, 4, 8, 16, 32]),
    maxModelLen: Math.max(longPrompt + 2, window),
    longPrompt,
    longOutput,
  };
}

function drawConfig(
  draw: Draw,
  kind: Kind,
  { blockSize, maxModelLen }: Shape,
  requests: readonly GoldenRequest[],
  features: Features,
): GoldenConfig {
  const ofOne = (request: GoldenRequest) =>
    Math.ceil(Math.min(maxModelLen, promptLength(request) + request.max_tokens) / blockSize);
  const longest = Math.max(...requests.map(ofOne));
  const all = requests.reduce((sum, request) => sum + ofOne(request), 0);
  const spec = features.speculation === true && draw.chance(0.8);
  const k = spec ? draw.integer(1, 4) : 0;
  // One sequence must fit, its drafts included; now and then it does not, and gets stuck.
  const one = longest + Math.ceil(k / blockSize) + (draw.chance(0.05) ? -1 : 0);
  const tight = kind === 'thrash' || draw.chance(0.5);
  const numBlocks = tight ? one + draw.integer(0, 4) : draw.integer(one, Math.max(one, all));
  const budget =
    kind === 'tiny' ? draw.integer(2, 8) : draw.of([2, 3, 5, 8, 16, 24, 32, 48, 64, 64]);
  const maxNumSeqs = draw.of([1, 2, 3, 4, 6, 8, 12, 16]);
  const method = draw.of(['ngram', 'draft_model', 'eagle'] as const);
  const asynchronous = features.async === true && draw.chance(0.7);
  const threshold = kind === 'threshold' ? draw.of([1, 2, 3, 5, 8, 16]) : draw.of([0, 0, 0, 4, 10]);
  return {
    block_size: blockSize,
    num_gpu_blocks: Math.max(2, numBlocks + 1),
    max_num_batched_tokens: budget + (spec ? k + 2 : 0),
    max_num_scheduled_tokens: draw.chance(0.15) ? Math.max(2, Math.floor(budget * 0.7)) : null,
    max_num_seqs: maxNumSeqs,
    max_num_active_seqs: draw.chance(0.15) ? draw.integer(1, maxNumSeqs) : null,
    max_model_len: maxModelLen,
    enable_chunked_prefill: !draw.chance(0.15),
    enable_prefix_caching: features.prefixCaching === true && draw.chance(0.85),
    policy: features.priority && draw.chance(0.7) ? 'priority' : 'fcfs',
    long_prefill_token_threshold: threshold,
    long_prefill_token_threshold_adaptive: draw.chance(0.3),
    scheduler_reserve_full_isl: draw.chance(0.6),
    watermark: draw.of([0, 0, 0, 0.05, 0.1, 0.3]),
    ...drawCadence(draw, kind),
    async_scheduling: asynchronous,
    num_speculative_tokens: k,
    // Asynchronous scheduling needs drafts made on the device.
    spec_method: spec ? (asynchronous ? 'eagle' : method) : null,
    spec_draft: spec && !asynchronous && draw.chance(0.3) ? 'var' : 'full',
    ...(features.stages && { pipeline_parallel_size: draw.of([1, 2, 2, 3, 4]) }),
    ...drawSlots(draw, features),
  };
}

/** One of the three ways of holding prefill back, or none. */
function drawCadence(
  draw: Draw,
  kind: Kind,
): Pick<GoldenConfig, 'prefill_schedule_interval'> & Partial<GoldenConfig> {
  const way = kind === 'cadence' ? draw.integer(0, 2) : draw.integer(0, 5);
  const steps = draw.of([2, 3, 7]);
  if (way === 0) return { prefill_schedule_interval: steps };
  if (way === 1) return { prefill_schedule_interval: 1, scheduler_recv_interval: steps };
  if (way > 2) return { prefill_schedule_interval: 1 };
  return {
    prefill_schedule_interval: 1,
    batch_wait_timeout_iters: steps,
    batch_wait_max_tokens_ratio: draw.of([0.3, 0.6, 1]),
  };
}

/** Few slots, so that requests are passed over and adapters come and go. */
function drawSlots(draw: Draw, features: Features) {
  if (features.lora !== true) return {};
  const slots = draw.integer(1, 3);
  return { max_loras: slots, max_cpu_loras: slots + draw.integer(0, 2) };
}

function drawRequests(draw: Draw, kind: Kind, shape: Shape, features: Features): GoldenRequest[] {
  const count = draw.integer(2, kind === 'burst' ? 20 : 12);
  const gap = draw.of([0.3, 1, 2, 5, 12]);
  // Few seeds make many shared beginnings.
  const shared = Array.from({ length: 3 }, () => draw.integer(1, 9));
  const requests: GoldenRequest[] = [];
  let at = 0;
  for (let id = 0; id < count; id++) {
    at += draw.chance(kind === 'burst' ? 0.8 : 0.35) ? 0 : Math.floor(draw.exponential() * gap);
    const request: GoldenRequest = {
      at,
      prompt: drawPrompt(draw, id, shape, features, { shared, earlier: requests }),
      max_tokens: draw.chance(0.1) ? 1 : draw.integer(1, shape.longOutput),
      out: 1000 + id,
    };
    const urgency = features.priority ? { prio: draw.integer(-1, 2) } : {};
    const adapter = features.lora && draw.chance(0.8) ? { lora: `a${draw.integer(1, 5)}` } : {};
    requests.push({ ...request, ...urgency, ...adapter, ...drawAbort(draw, at, shape) });
  }
  return requests;
}

/** Sometimes the caller hangs up: at once, before it is scheduled, in a prefill, in a decode. */
function drawAbort(draw: Draw, at: number, { longOutput }: Shape): Pick<GoldenRequest, 'abort'> {
  if (!draw.chance(0.15)) return {};
  const step = at + Math.floor(draw.exponential() * (longOutput / 2));
  return { abort: [step, draw.of(['before', 'during'] as const)] };
}

interface Known {
  readonly shared: readonly number[];
  readonly earlier: readonly GoldenRequest[];
}

/** A prompt of its own, one that begins as others do, or the next turn of a conversation. */
function drawPrompt(
  draw: Draw,
  id: number,
  { longPrompt, blockSize }: Shape,
  features: Features,
  { shared, earlier }: Known,
): Segment[] {
  const length = draw.chance(0.1) ? 1 : draw.integer(1, longPrompt);
  // Multiples of the block size are where full hits and boundaries are.
  const aligned = Math.ceil(length / blockSize) * blockSize;
  const total = draw.chance(0.2) && aligned <= longPrompt ? aligned : length;
  if (!features.prefixCaching || draw.chance(0.2)) return [[20_000 + id, total]];
  if (earlier.length > 0 && draw.chance(0.3)) {
    const before = draw.of(earlier);
    const answer = draw.integer(1, before.max_tokens);
    const turn: Segment[] = [...before.prompt, [before.out, answer]];
    const history = promptLength(before) + answer;
    if (history <= longPrompt) {
      return history < longPrompt && draw.chance(0.7)
        ? [...turn, [20_000 + id, draw.integer(1, longPrompt - history)]]
        : turn;
    }
  }
  const common = draw.integer(1, total);
  const first = draw.chance(0.1) ? draw.integer(1, 2 * blockSize) : 0;
  const beginning: Segment =
    first > 0 ? [draw.of(shared), common, first] : [draw.of(shared), common];
  if (common === total) return [beginning];
  return [beginning, [20_000 + id, total - common]];
}

/** An affine cost on the clock's grid. */
function drawCost(draw: Draw): StepCost {
  const whole = draw.chance(0.4);
  const ticks = (most: number) => {
    const drawn = draw.integer(0, most * TICKS_PER_NS);
    return whole ? Math.floor(drawn / TICKS_PER_NS) * TICKS_PER_NS : drawn;
  };
  const [step, perDecode, perToken, perPrefill] = [ticks(200), ticks(9), ticks(30), ticks(20)];
  const [perPair, perHistory, perContext, perWindow] = [ticks(1), ticks(1), ticks(2), ticks(2)];
  const [perAdapter, perLoraToken] = [ticks(9), ticks(5)];
  const window = draw.of([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 5, 24]);
  const finite = Number.isFinite(window);
  return {
    base: (shape: StepShape) =>
      TICKS_PER_NS +
      step +
      perDecode * shape.numDecodes +
      perToken * shape.prefillTokens +
      perPrefill * shape.numPrefills +
      perPair * (finite ? shape.prefillWindowPairs : shape.prefillPairs) +
      perHistory * shape.prefillHistory +
      perDecode * shape.numSampled +
      perAdapter * (shape.numAdapters ?? 0) +
      perLoraToken * (shape.loraTokens ?? 0),
    contextSlope: () => perContext,
    windowSlope: () => (finite ? perWindow : 0),
    window,
    emptyStep: 0,
  };
}

/** A third of the costs bend: every `every` tokens of mean context a token of it costs more, as measured tables have it. */
function withKnots(cost: StepCost, draw: Draw): StepCost {
  if (!draw.chance(0.34)) return cost;
  const every = draw.integer(1, 12);
  const more = draw.integer(1, TICKS_PER_NS);
  const pieceOf = ({ prefillTokens, numDecodes, decodeContext }: StepShape) =>
    prefillTokens > 0 || numDecodes === 0 ? 0 : Math.floor(decodeContext / (every * numDecodes));
  return {
    ...cost,
    contextSlope: (shape) => cost.contextSlope(shape) + more * pieceOf(shape),
    stepsAlike: (shape) => {
      const end = (pieceOf(shape) + 1) * every * shape.numDecodes;
      return Math.max(1, Math.ceil((end - shape.decodeContext) / shape.numDecodes));
    },
  };
}

/** Draws in words. */
class Draw {
  constructor(private readonly stream: RandomStream) {}

  chance(probability: number): boolean {
    return this.stream.next() < probability;
  }

  integer(low: number, high: number): number {
    return this.stream.integer(low, high);
  }

  exponential(): number {
    return this.stream.exponential();
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.stream.integer(0, choices.length - 1)]!;
  }
}
