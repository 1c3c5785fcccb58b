/**
 * Loads of the engine's benchmarks: how requests come, what a step costs, how large the pool is.
 *
 * The cost is affine (5 ms + 8 µs per decode + 40 ns per token of context + 13.7 µs per prompt token),
 * roughly a model of 8 B parameters on one GPU; the engine does not care which one it is.
 */

import type {
  InstanceConfig,
  RequestSpec,
  SchedulerConfig,
  StepCost,
} from '../../src/core/engine.js';
import { Rng } from '../../src/core/rng.js';
import { drawnAcceptance } from '../../src/core/sched/acceptance.js';
import { type DurationNs, NS_PER_S, onClock } from '../../src/core/units.js';
import type { Arrival, Workload } from '../../src/core/workload/workload.js';

const PER_STEP = onClock(5e-3);
const PER_DECODE = onClock(8e-6);
const PER_PROMPT_TOKEN = onClock(13.7e-6);
const PER_CONTEXT = onClock(40e-9);

export const affineCost: StepCost = {
  base: ({ numDecodes, prefillTokens, draftTokens = 0 }) =>
    PER_STEP + PER_DECODE * (numDecodes + draftTokens) + PER_PROMPT_TOKEN * prefillTokens,
  contextSlope: () => PER_CONTEXT,
  windowSlope: () => 0,
  window: Infinity,
  emptyStep: 0,
};

export const SCHEDULER: SchedulerConfig = {
  blockSize: 16,
  numGpuBlocks: 20_000,
  maxNumBatchedTokens: 8192,
  maxNumScheduledTokens: 8192,
  maxNumSeqs: 256,
  maxNumActiveSeqs: 256,
  maxModelLen: 8192,
  enableChunkedPrefill: true,
  enablePrefixCaching: false,
  longPrefillTokenThreshold: 0,
  longPrefillTokenThresholdAdaptive: false,
  schedulerReserveFullIsl: true,
  watermark: 0,
  prefillScheduleInterval: 1,
  schedulerRecvInterval: 1,
  batchWaitTimeoutIters: 0,
  batchWaitMaxTokensRatio: 0,
  policy: 'fcfs',
  asyncScheduling: false,
  numSpeculativeTokens: 0,
};

/** `count` requests at `rate` per second (Poisson), the i-th as `specOf(i)` says. */
export class PoissonLoad implements Workload {
  readonly #gaps = new Rng(1).stream('arrivals');
  readonly #arrival: { at: DurationNs; spec: RequestSpec };
  readonly #meanGapNs: DurationNs;
  #count = 0;
  #at = 0;

  constructor(
    readonly numRequests: number,
    rate: number,
    private readonly specOf: (i: number) => RequestSpec,
  ) {
    this.#meanGapNs = NS_PER_S / rate;
    this.#arrival = { at: 0, spec: specOf(0) };
  }

  next(): Arrival | undefined {
    if (this.#count === this.numRequests) return undefined;
    this.#at += this.#gaps.exponential() * this.#meanGapNs;
    this.#arrival.at = Math.floor(this.#at);
    this.#arrival.spec = this.specOf(this.#count++);
    return this.#arrival;
  }
}

const CONSTANT: RequestSpec = { promptTokens: 512, maxTokens: 128 };
const LONG_OUTPUT: RequestSpec = { promptTokens: 512, maxTokens: 2048 };
const LONG_PROMPT: RequestSpec = { promptTokens: 4000, maxTokens: 128 };

/** A system prompt of 256 tokens, one of twenty, and 256 tokens of the request's own. */
const sharedHalf = (i: number): RequestSpec => ({
  promptTokens: 512,
  maxTokens: 128,
  prompt: [
    { content: i % 20, length: 256 },
    { content: 1000 + i, length: 256 },
  ],
});

/** Four turns each, 8 s apart at 70/s: the prompt is the history of 0, 164, 328 or 492 tokens and a question of 36. */
function turnOfConversation(i: number): RequestSpec {
  const turn = Math.floor(i / 560) % 4;
  const user = i % 560;
  const first = i - turn * 560;
  const prompt = [];
  for (let t = 0; t < turn; t++) {
    prompt.push({ content: 4 * first + t * 2240, length: 36 });
    prompt.push({ content: 4 * first + t * 2240 + 1, length: 128 });
  }
  prompt.push({ content: 4 * first + turn * 2240, length: 36 });
  return {
    promptTokens: 164 * turn + 36,
    maxTokens: 128,
    prompt,
    outputContent: 4 * first + turn * 2240 + 1,
    cacheSalt: user % 2 === 0 ? 'a' : 'b',
  };
}

export interface Case {
  readonly name: string;
  readonly load: Workload;
  readonly scheduler: SchedulerConfig;
  readonly acceptance?: InstanceConfig['acceptance'];
  /** A subscriber asks for every token. */
  readonly tokens?: true;
  /** Simulated output tokens per second of wall clock to reach, where one is set. */
  readonly goal?: number;
}

/** The cases, scaled by `size` (1: a million requests near saturation). */
export function cases(size: number): Case[] {
  const count = (requests: number) => Math.ceil(requests * size);
  const poisson = (requests: number, rate: number, spec: RequestSpec) =>
    new PoissonLoad(count(requests), rate, () => spec);
  const prioritised = [0, 1, 2].map((priority) => ({ ...CONSTANT, priority }));
  return [
    {
      name: '512/128, 70/s',
      load: poisson(1e6, 70, CONSTANT),
      scheduler: SCHEDULER,
      goal: 250e6,
    },
    {
      name: 'the same, asynchronous',
      load: poisson(1e6, 70, CONSTANT),
      scheduler: { ...SCHEDULER, asyncScheduling: true },
      goal: 150e6,
    },
    {
      name: 'the same, KV pressure',
      load: poisson(1e6, 70, CONSTANT),
      scheduler: { ...SCHEDULER, numGpuBlocks: 9300 },
      goal: 200e6,
    },
    {
      name: 'the same, priorities',
      load: new PoissonLoad(count(1e6), 70, (i) => prioritised[i % 3]!),
      scheduler: { ...SCHEDULER, numGpuBlocks: 9300, policy: 'priority' },
      goal: 30e6,
    },
    {
      name: 'the same, cache, nothing shared',
      load: poisson(1e6, 70, CONSTANT),
      scheduler: { ...SCHEDULER, enablePrefixCaching: true },
    },
    {
      name: 'the same, cache, half shared',
      load: new PoissonLoad(count(1e6), 70, sharedHalf),
      scheduler: { ...SCHEDULER, enablePrefixCaching: true },
      goal: 60e6,
    },
    {
      name: 'the same, cache, conversations',
      load: new PoissonLoad(count(1e6), 70, turnOfConversation),
      scheduler: { ...SCHEDULER, enablePrefixCaching: true },
      goal: 60e6,
    },
    {
      name: 'the same, 3 drafts verified',
      load: poisson(1e5, 70, CONSTANT),
      scheduler: { ...SCHEDULER, numSpeculativeTokens: 3, speculativeMethod: 'eagle' },
      acceptance: drawnAcceptance({ method: 'eagle', numSpeculativeTokens: 3 }),
      goal: 3e6,
    },
    {
      name: 'the same, every token told',
      load: poisson(1e5, 70, CONSTANT),
      scheduler: SCHEDULER,
      tokens: true,
      goal: 5e6,
    },
    { name: '512/128, 5/s', load: poisson(1e6, 5, CONSTANT), scheduler: SCHEDULER, goal: 150e6 },
    {
      name: '512/128, 90/s (overload)',
      load: poisson(3e5, 90, CONSTANT),
      scheduler: SCHEDULER,
    },
    { name: '512/2048, 9/s', load: poisson(2e5, 9, LONG_OUTPUT), scheduler: SCHEDULER },
    {
      name: '4000/128, threshold 256',
      load: poisson(1e5, 8, LONG_PROMPT),
      scheduler: {
        ...SCHEDULER,
        maxNumBatchedTokens: 512,
        maxNumScheduledTokens: 512,
        longPrefillTokenThreshold: 256,
      },
    },
  ];
}
