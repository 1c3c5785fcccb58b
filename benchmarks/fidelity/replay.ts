/** A case through the real engine: one simulation, and the numbers its rows are compared with. */

import type { LatencySummary } from '../../src/core/metrics/report.js';
import type { EngineProfile, PerfData } from '../../src/core/perf/engine-profile.js';
import { inputTimesOf, type ResolvedPool, resolvePool } from '../../src/core/perf/resolve.js';
import { stepSeconds } from '../../src/core/perf/step-cost.js';
import { type RandomStream, Rng } from '../../src/core/rng.js';
import { simulate } from '../../src/core/simulate.js';
import { NS_PER_S, type TimeNs } from '../../src/core/units.js';
import { ClosedLoop } from '../../src/core/workload/closed-loop.js';
import type { Arrival, Workload } from '../../src/core/workload/workload.js';
import { type Case, type Lengths, type Load, type Measure, PERCENTILES } from './case.js';
import { unlessRefused } from './refusal.js';

export type Predictions = Partial<Record<Measure, number>>;

/** @returns predictions, or why the case cannot be (the model does not fit, …). */
export function replay(c: Case, given: PerfData): Predictions | { readonly refused: string } {
  const data = { ...given, engine: { ...given.engine, ...changed(c, given.engine) } };
  const { model, gpu: hardware, engine, options } = c;
  const pool = unlessRefused(() =>
    resolvePool({ model, hardware, engine, numInstances: 1, options }, data),
  );
  if (!pool) return { refused: 'the model does not fit as laid out here' };
  return c.load.kind === 'step' ? stepOf(pool, c.load) : run(c, pool, c.load);
}

/** What a run changed of its engine. */
const changed = (c: Case, engine: EngineProfile): Partial<EngineProfile> => ({
  ...(c.graphTokens === undefined ? {} : { graphTokens: c.graphTokens }),
  ...(c.dispatchFactor === undefined
    ? {}
    : { dispatchSecondsPerLayer: engine.dispatchSecondsPerLayer * c.dispatchFactor }),
  ...(c.graphSizes === undefined ? {} : { graphSizes: c.graphSizes }),
  ...(c.greedy ? { samplingBytesPerLogit: GREEDY_BYTES_PER_LOGIT } : {}),
});

/** Read in 16 bits, written and read again in 32: the least there is to do. */
const GREEDY_BYTES_PER_LOGIT = 10;

function stepOf(pool: ResolvedPool, load: Extract<Load, { kind: 'step' }>): Predictions {
  const { numDecodes, context } = load;
  const seconds = stepSeconds(pool.cost, {
    numDecodes,
    decodeContext: numDecodes * context,
    decodeWindowContext: numDecodes * Math.min(context, pool.cost.window),
    prefillTokens: 0,
    numPrefills: 0,
    prefillPairs: 0,
    prefillWindowPairs: 0,
    prefillHistory: 0,
    numSampled: numDecodes,
  });
  return { step: seconds * 1000 };
}

type Timed = Exclude<Load, { kind: 'step' }>;

function run(c: Case, pool: ResolvedPool, load: Timed): Predictions | { readonly refused: string } {
  const length = load.input.high + load.output.high;
  const blocksEach = Math.ceil(length / pool.scheduler.blockSize);
  // One block is never given out.
  const fit = Math.floor((pool.scheduler.numGpuBlocks - 1) / blocksEach);
  if (fit < 1) return { refused: 'one request does not fit into the KV pool' };
  const cap = c.noEvict ? fit : Infinity;
  // A whole prompt has to fit beside the decodes, or it would wait for the last of them.
  const running = Math.min(pool.scheduler.maxNumSeqs, cap, load.numRequests);
  const budget = Math.max(pool.scheduler.maxNumBatchedTokens, load.input.high + running);
  const scheduler = {
    ...pool.scheduler,
    ...(c.noEvict && !c.options.enableChunkedPrefill
      ? { enableChunkedPrefill: false, maxNumBatchedTokens: budget, maxNumScheduledTokens: budget }
      : {}),
    maxModelLen: Math.max(pool.scheduler.maxModelLen, length),
    maxNumSeqs: Math.min(pool.scheduler.maxNumSeqs, cap),
    maxNumActiveSeqs: Math.min(pool.scheduler.maxNumActiveSeqs, cap),
  };
  const instances = Array.from({ length: pool.numRanks }, (_, i) => ({
    pool: i,
    scheduler,
    cost: pool.cost,
  }));
  const report = simulate({
    instances,
    router: 'round_robin',
    seed: 1,
    ...inputTimesOf(pool),
    workload: workloadOf(load),
  });
  if (report.completed < load.numRequests)
    return { refused: 'the engine did not complete every request' };
  const seconds = report.durationNs / NS_PER_S;
  const { ttft, tpot, itl, e2el } = report;
  return {
    ...statistics('ttft', ttft),
    ...statistics('tpot', tpot),
    ...statistics('itl', itl),
    ...statistics('e2e', e2el),
    makespan: seconds * 1000,
    output_tps: report.totalOutputTokens / seconds,
    total_tps: (report.totalInputTokens + report.totalOutputTokens) / seconds,
    rps: report.completed / seconds,
  };
}

/** Mean and percentiles. */
const statistics = (name: 'ttft' | 'tpot' | 'itl' | 'e2e', of: LatencySummary): Predictions =>
  Object.fromEntries([
    [name, of.meanMs],
    ...PERCENTILES.map((p) => [`${name}_p${p}`, of.quantileMs(p / 100)]),
  ]);

function workloadOf(load: Timed): Workload {
  const drawn = new DrawnLoad(load);
  return load.kind === 'closed' ? new ClosedLoop(drawn, load.clients) : drawn;
}

/** Requests of uniform lengths, at once or as a Poisson process. */
class DrawnLoad implements Workload {
  readonly numRequests: number;
  readonly #input;
  readonly #output;
  readonly #gaps;
  #given = 0;
  #at: TimeNs = 0;

  constructor(private readonly load: Timed) {
    const rng = new Rng(1);
    this.numRequests = load.numRequests;
    this.#input = rng.stream('input');
    this.#output = rng.stream('output');
    this.#gaps = rng.stream('gaps');
  }

  ended(): void {}

  next(): Arrival | undefined {
    if (this.#given >= this.numRequests) return undefined;
    const draw = (stream: RandomStream, { low, high }: Lengths): number =>
      low === high ? low : stream.integer(low, high);
    if (this.load.kind === 'poisson' && this.#given > 0) {
      this.#at += Math.round((this.#gaps.exponential() / this.load.perSecond) * NS_PER_S);
    }
    this.#given++;
    return {
      at: this.#at,
      spec: {
        promptTokens: draw(this.#input, this.load.input),
        maxTokens: draw(this.#output, this.load.output),
      },
    };
  }
}
