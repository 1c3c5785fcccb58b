/**
 * The engine as a replayer of golden traces: each step costs two nanoseconds, so that step s begins at
 * 2s and what a recorder calls "during" step s happens at 2s + 1.
 *
 * Twice: with all events, where every line is compared, and with the summary only, where nobody
 * listens, so that runs are as long as the engine makes them.
 */

import { createEngine } from '../../src/core/cluster/cluster.js';
import type { Instance } from '../../src/core/cluster/instance.js';
import type {
  Acceptance,
  LoraConfig,
  RequestSpec,
  SchedulerConfig,
  StepCost,
} from '../../src/core/engine.js';
import type { Request } from '../../src/core/request/request.js';
import type { Admission, RequestOutcome, Tracer } from '../../src/core/trace/tracer.js';
import { TICKS_PER_NS } from '../../src/core/units.js';
import {
  digest,
  type GoldenConfig,
  type GoldenRequest,
  type GoldenScenario,
  type Pair,
  type Replay,
  type Replayer,
  type RequestRow,
  type StepLine,
  type Summary,
} from './golden.js';

const STEP_NS = 2;
/** Empty calls in a row after which a scenario with nothing to come is stuck. */
const STUCK_AFTER = 3;

export const unitCost: StepCost = {
  base: () => STEP_NS * TICKS_PER_NS,
  contextSlope: () => 0,
  windowSlope: () => 0,
  window: Infinity,
  emptyStep: STEP_NS * TICKS_PER_NS,
};

export const engineReplayers: Replayer[] = [
  {
    name: 'engine',
    detail: 'full',
    without: ['evict', 'acc'],
    replay: (scenario) => replay(scenario, true),
  },
  { name: 'engine (runs)', detail: 'summary', replay: (s) => replay(s, false) },
];

/** Speculation as the traces define it: formulas instead of models. */
export function acceptanceOf(config: GoldenConfig): Acceptance {
  const k = config.num_speculative_tokens;
  return {
    accepted: ({ spec, numOutputTokens }, numDrafts) =>
      Math.min(numDrafts, (spec.outputContent! * 31 + numOutputTokens * 17) % (k + 1)),
    proposed: ({ spec, numOutputTokens }, most) =>
      config.spec_draft === 'full'
        ? most
        : (spec.outputContent! * 13 + numOutputTokens * 7) % (k + 1),
  };
}

export function schedulerConfig(
  config: GoldenConfig,
  ticks: AdapterTicks = { loadTicks: 0, fetchTicks: 0 },
): SchedulerConfig {
  return {
    blockSize: config.block_size,
    numGpuBlocks: config.num_gpu_blocks,
    maxNumBatchedTokens: config.max_num_batched_tokens,
    maxNumScheduledTokens: config.max_num_scheduled_tokens ?? config.max_num_batched_tokens,
    maxNumSeqs: config.max_num_seqs,
    maxNumActiveSeqs: config.max_num_active_seqs ?? config.max_num_seqs,
    maxModelLen: config.max_model_len,
    enableChunkedPrefill: config.enable_chunked_prefill,
    enablePrefixCaching: config.enable_prefix_caching,
    longPrefillTokenThreshold: config.long_prefill_token_threshold,
    longPrefillTokenThresholdAdaptive: config.long_prefill_token_threshold_adaptive,
    schedulerReserveFullIsl: config.scheduler_reserve_full_isl,
    watermark: config.watermark,
    prefillScheduleInterval: config.prefill_schedule_interval,
    schedulerRecvInterval: config.scheduler_recv_interval ?? 1,
    batchWaitTimeoutIters: config.batch_wait_timeout_iters ?? 0,
    batchWaitMaxTokensRatio: config.batch_wait_max_tokens_ratio ?? 0,
    policy: config.policy,
    asyncScheduling: config.async_scheduling,
    pipelineParallelSize: config.pipeline_parallel_size ?? 1,
    numSpeculativeTokens: config.num_speculative_tokens,
    ...(config.spec_method && { speculativeMethod: config.spec_method }),
    ...(config.max_loras !== undefined && {
      lora: { maxLoras: config.max_loras, maxCpuLoras: config.max_cpu_loras!, ...ticks },
    }),
  };
}

/** For how long a step waits for an adapter; a step clock has no such time. */
export type AdapterTicks = Pick<LoraConfig, 'loadTicks' | 'fetchTicks'>;

type Asked = Pick<GoldenRequest, 'prompt' | 'max_tokens' | 'prio' | 'out' | 'lora'>;

/**
 * The requests as the engine takes them: contents named, no tokens. Every other one that shares with
 * nobody names nothing, which must not make a difference.
 */
export function specsOf(requests: readonly Asked[], config: GoldenConfig): RequestSpec[] {
  const uses = new Map<number, number>();
  for (const { prompt, out } of requests) {
    for (const seed of new Set([...prompt.map(([content]) => content), out])) {
      uses.set(seed, (uses.get(seed) ?? 0) + 1);
    }
  }
  return requests.map(({ prompt, max_tokens, prio, out, lora }, id) => {
    const spec: RequestSpec = {
      promptTokens: prompt.reduce((sum, [, length]) => sum + length, 0),
      maxTokens: max_tokens,
      priority: prio ?? 0,
      ...(lora !== undefined && { lora }),
    };
    const alone = [...prompt.map(([content]) => content), out].every(
      (seed) => uses.get(seed) === 1,
    );
    // Which drafts hold depends on the name of the output.
    if (alone && id % 2 === 0 && config.num_speculative_tokens === 0) return spec;
    const named = prompt.map(([content, length, first = 0]) => ({ content, length, first }));
    return { ...spec, prompt: named, outputContent: out };
  });
}

function replay(scenario: GoldenScenario, full: boolean): Replay {
  const { config, requests } = scenario;
  const rows = new Rows(requests.length);
  const recorder = new Recorder(scenario, rows);
  const eachStep = full || scenario.max_steps !== undefined;
  const tracer: Tracer = full
    ? recorder.tracer
    : { ...rows.tracer, ...(eachStep && { called() {} }) };
  const engine = createEngine({
    instances: [
      {
        pool: 0,
        scheduler: schedulerConfig(config),
        cost: unitCost,
        acceptance: () => acceptanceOf(config),
      },
    ],
    router: 'round_robin',
    seed: 0,
    inputLatencyNs: 0,
    tracer,
  });
  const specs = specsOf(requests, config);
  const handles = requests.map((request, id) => {
    const handle = engine.submit(request.at * STEP_NS, specs[id]!);
    rows.ids.set(handle, id);
    return handle;
  });
  const aborts = requests.flatMap(({ abort }, id) => (abort ? [{ id, abort }] : []));
  for (const { id, abort } of aborts) {
    engine.cancel(abortAt(abort), handles[id]!);
  }
  /** Whether an arrival or a cancellation that would change something is still to come after `at`. */
  const moreToCome = (at: number): boolean =>
    requests.some((request) => request.at * STEP_NS > at) ||
    aborts.some(({ id, abort }) => abortAt(abort) > at && rows.rows[id]![1] === 'unfinished');

  const instance = engine.instances[0]!;
  const { decodes } = instance.scheduler;
  let end: Summary['end'] = 'done';
  let emptyCalls = 0;
  let lastRun = { calls: 0, steps: 0 };
  for (let at = engine.nextEventAt(); at !== undefined; at = engine.nextEventAt()) {
    engine.advanceTo(at);
    if (decodes.calls >= (scenario.max_steps ?? Infinity)) {
      end = 'max_steps';
      engine.advanceTo(at + 1);
      recorder.settleLast(instance);
      break;
    }
    const run = { calls: decodes.calls, steps: instance.stats.numSteps };
    // The steps of a run come before the call that follows it.
    const steps = run.steps - lastRun.steps;
    emptyCalls = (steps > 0 ? 0 : emptyCalls) + (run.calls - lastRun.calls - steps);
    lastRun = run;
    if (emptyCalls < STUCK_AFTER || instance.numWaiting === 0 || moreToCome(at)) continue;
    // The last step is over but for the next call.
    engine.advanceTo(Math.floor(at / STEP_NS) * STEP_NS + 1);
    if (instance.numWaiting > 0) end = 'stuck';
    recorder.settleLast(instance);
    break;
  }
  const summary: Summary = {
    end,
    calls: decodes.calls,
    preemptions: instance.scheduler.numPreemptions,
    peak_blocks: instance.stats.peakBlocksUsed,
    req: [],
    ...(config.enable_prefix_caching && { prefix: rows.prefix }),
  };
  const lines = full ? recorder.lines() : undefined;
  // What is left is told by taking it away.
  rows.closing = true;
  for (const handle of handles) engine.cancel(engine.now, handle);
  engine.advanceTo(engine.now);
  summary.req = rows.rows;
  return lines ? { lines, summary } : { summary };
}

const abortAt = ([step, when]: NonNullable<GoldenRequest['abort']>): number =>
  step * STEP_NS + (when === 'during' ? 1 : 0);

/** The rows of the summary. */
class Rows {
  readonly ids = new Map<number, number>();
  readonly rows: RequestRow[];
  closing = false;

  constructor(count: number) {
    this.rows = Array.from({ length: count }, (_, id) => [
      id,
      'unfinished',
      null,
      0,
      0,
      null,
      null,
    ]);
  }

  readonly prefix = {
    queries: 0,
    hits: 0,
    requests: 0,
    preempted_queries: 0,
    preempted_hits: 0,
    preempted_requests: 0,
  };

  readonly tracer: Tracer = {
    requestFinish: (outcome) => this.end(outcome),
    requestSchedule: (_at, _handle, admission) => this.admitted(admission),
  };

  admitted({ resumed, knownTokens, cachedTokens }: Admission): void {
    const prefix = resumed ? 'preempted_' : '';
    this.prefix[`${prefix}queries`] += knownTokens;
    this.prefix[`${prefix}hits`] += cachedTokens;
    this.prefix[`${prefix}requests`] += 1;
  }

  end(outcome: RequestOutcome): void {
    const { handle, reason, scheduledAt, firstTokenAt, endedAt } = outcome;
    const id = this.ids.get(handle)!;
    // A step's tokens leave at its end, which is where the next one begins.
    const step = reason === 'abort' ? Math.floor(endedAt / STEP_NS) : endedAt / STEP_NS - 1;
    this.rows[id] = [
      id,
      this.closing ? 'unfinished' : reason === 'abort' ? 'abort' : 'length',
      this.closing ? null : step,
      outcome.outputTokens,
      outcome.numPreemptions,
      scheduledAt === undefined ? null : scheduledAt / STEP_NS,
      firstTokenAt === undefined ? null : firstTokenAt / STEP_NS - 1,
    ];
  }
}

type Open = { -readonly [K in keyof StepLine]: StepLine[K] };

/** Writes the lines a recorder would have written. */
class Recorder {
  readonly #lines = new Map<number, Open>();
  readonly #batches: number[] = [];

  constructor(
    private readonly scenario: GoldenScenario,
    private readonly rows: Rows,
  ) {}

  lines(): StepLine[] {
    const idle = this.scenario.config.num_gpu_blocks - 1;
    const caching = this.scenario.config.enable_prefix_caching;
    let cached: Pair = [0, 0];
    const all = [...this.#lines.values()]
      .sort((a, b) => a.s - b.s)
      .map((line): StepLine => {
        // A line of cancellations alone leaves the cache as it was.
        cached = line.cached ?? [cached[1], cached[1]];
        return {
          free: [idle, idle],
          ...(caching && { cached }),
          run: [],
          wait: [],
          ...line,
        };
      });
    return this.scenario.trace === 'digest' ? all.map(digest) : all;
  }

  #line(s: number): Open {
    let line = this.#lines.get(s);
    if (!line) {
      line = { s };
      this.#lines.set(s, line);
    }
    return line;
  }

  #push(
    s: number,
    key: 'add' | 'abort' | 'abort2' | 'new' | 'res' | 'pre' | 'fin',
    handle: number,
  ) {
    const line = this.#line(s);
    line[key] = [...(line[key] ?? []), this.rows.ids.get(handle)!];
  }

  readonly tracer: Tracer = {
    requestArrive: (at, handle) => this.#push(Math.ceil(at / STEP_NS), 'add', handle),
    requestSchedule: (at, handle, admission) => {
      this.rows.admitted(admission);
      const { resumed, cachedTokens, knownTokens } = admission;
      this.#push(at / STEP_NS, resumed ? 'res' : 'new', handle);
      if (!this.scenario.config.enable_prefix_caching) return;
      const line = this.#line(at / STEP_NS);
      const hit = [this.rows.ids.get(handle)!, cachedTokens, knownTokens] as const;
      line.hit = [...(line.hit ?? []), hit];
    },
    requestPreempt: (at, handle) => this.#push(at / STEP_NS, 'pre', handle),
    requestFinish: (outcome) => {
      this.rows.end(outcome);
      if (this.rows.closing) return;
      const { endedAt, handle, reason } = outcome;
      const s = Math.floor(endedAt / STEP_NS);
      if (reason !== 'abort') this.#push(s - 1, 'fin', handle);
      else this.#push(s, endedAt % STEP_NS === 0 ? 'abort' : 'abort2', handle);
    },
    called: ({ at, scheduled, freeBlocks, cachedBlocks, running, waiting }) => {
      const line = this.#line(at / STEP_NS);
      const { ids } = this.rows;
      line.sched = scheduled.map(({ handle, numTokens, numComputedTokens }) => [
        ids.get(handle)!,
        numTokens,
        numComputedTokens,
      ]);
      const drafts = scheduled.flatMap(({ handle, numDrafts }): Pair[] =>
        numDrafts > 0 ? [[ids.get(handle)!, numDrafts]] : [],
      );
      if (drafts.length > 0) line.drafts = drafts;
      this.#batches.push(line.s);
      this.#settle(line, [freeBlocks, cachedBlocks], running(), waiting());
    },
    tokens: ({ at, count, handles, numTokens }) => {
      const { async_scheduling, num_speculative_tokens } = this.scenario.config;
      if (!async_scheduling && num_speculative_tokens === 0) return;
      const line = this.#line(at / STEP_NS - 1);
      line.out = Array.from(handles.subarray(0, count), (handle, i) => {
        return [this.rows.ids.get(handle)!, numTokens[i]!];
      });
    },
    updated: ({ at, freeBlocks, cachedBlocks, running, waiting }) => {
      const line = this.#line(at / STEP_NS - 1);
      this.#settle(line, [freeBlocks, cachedBlocks], running(), waiting());
      if (!this.scenario.config.async_scheduling) return;
      // The oldest batch, unless it is the one just scheduled and somebody may still join the next.
      const nothing = line.sched?.length === 0 && line.run?.length === 0 && line.wait?.length === 0;
      const own = this.#batches[0] === line.s;
      if (this.#batches.length > 0 && (!own || nothing)) line.upd = this.#batches.shift()!;
    },
  };

  /** What "during" cancellations left of the last step, after which nothing is called any more. */
  settleLast({ kv, scheduler }: Instance): void {
    const last = this.#line(Math.max(...this.#lines.keys()));
    const handles = (list: Iterable<Request>) => Array.from(list, ({ handle }) => handle);
    this.#settle(
      last,
      [kv.free, kv.cachedBlocks],
      handles(scheduler.running),
      handles(scheduler.waiting),
    );
    if (this.scenario.config.async_scheduling && this.#batches.length > 1)
      last.upd = this.#batches.shift()!;
  }

  #settle(line: Open, [free, cached]: Pair, running: number[], waiting: number[]): void {
    const { ids } = this.rows;
    line.free = line.free ? [line.free[0], free] : [free, free];
    if (this.scenario.config.enable_prefix_caching) {
      line.cached = line.cached ? [line.cached[0], cached] : [cached, cached];
    }
    line.run = running.map((handle) => ids.get(handle)!);
    line.wait = waiting.map((handle) => ids.get(handle)!);
  }
}
