/**
 * The oracle in time: the same calls and updates, on a clock in nanoseconds.
 *
 * A call is made at a boundary: the instant the batch before has ended. It sees all that arrived by
 * then (`at <= floor(clock)`), submissions before cancellations. A step lasts as long as its shape
 * costs, in whole ticks, added one step at a time, so there is nothing to round. What an instant is
 * called is the floor of the clock; a cancellation strictly between two boundaries is "during"
 * (rule 32), one exactly at a boundary is "before".
 *
 * Asynchronous: batch k + 1 is scheduled while batch k runs and starts when it ends; a boundary is the
 * end of the oldest batch. Empty batches take `emptyStep`, and where that is 0 the core sleeps until
 * the next command as soon as another call could not change anything.
 */

import type { StepCost, StepShape } from '../../../src/core/engine.js';
import { type DurationNs, TICKS_PER_NS, type Ticks, type TimeNs } from '../../../src/core/units.js';
import type { AdapterTicks } from '../../parity/engine-replay.js';
import type { GoldenConfig, GoldenRequest, StepLine, Summary } from '../../parity/golden.js';
import type { Call } from './batch.js';
import { type Batch, EngineCore } from './engine-core.js';
import { STUCK_AFTER } from './replay.js';

/** `at` is in nanoseconds here, and `abort` an instant. */
export interface TimedRequest extends Omit<GoldenRequest, 'abort'> {
  readonly at: TimeNs;
  readonly cancelAt?: TimeNs;
}

export interface TimedScenario {
  readonly name: string;
  readonly config: GoldenConfig;
  readonly cost: StepCost;
  /** For how long a step waits for an adapter; absent: there are none. */
  readonly adapterTicks?: AdapterTicks;
  /** Sorted by `at`; a request's id is its index. */
  readonly requests: readonly TimedRequest[];
  /** Schedule calls after which the run is cut (livelocks). */
  readonly maxCalls?: number;
}

/** An exact instant: whole nanoseconds and ticks of the next one. */
export interface Instant {
  readonly ns: TimeNs;
  readonly ticks: Ticks;
}

/** A step that had tokens: when it ran, and what was in it. */
export interface TimedStep {
  /** `s` of the line of its schedule call. */
  readonly s: number;
  readonly start: Instant;
  readonly end: Instant;
  readonly shape: StepShape;
}

export interface TimedRow {
  readonly id: number;
  readonly end: 'length' | 'abort' | 'unfinished';
  readonly outputTokens: number;
  readonly numPreemptions: number;
  /** Tokens found in the prefix cache at the first admission; 0 if it was never admitted. */
  readonly cachedTokens: number;
  /** The schedule call that first took it; `null` where it did not get so far. */
  readonly scheduledAt: TimeNs | null;
  readonly firstTokenAt: TimeNs | null;
  readonly lastTokenAt: TimeNs | null;
  readonly endedAt: TimeNs | null;
}

export interface TimedReplay {
  /** One line per schedule call or update; `s` counts them. `abort` and `abort2` as in a trace. */
  readonly lines: readonly StepLine[];
  /** Exact instant of each line's schedule call, in the order of `lines`. */
  readonly calledAt: readonly Instant[];
  readonly steps: readonly TimedStep[];
  readonly requests: readonly TimedRow[];
  /** The steps of `summary.req` are nanoseconds here. */
  readonly summary: Summary;
  /** Where the clock stood at the end. */
  readonly end: Instant;
}

export function replayInTime(scenario: TimedScenario): TimedReplay {
  return new TimedRun(scenario).run();
}

class TimedRun {
  readonly #core: EngineCore;
  readonly #lines: StepLine[] = [];
  readonly #calledAt: Instant[] = [];
  readonly #steps: TimedStep[] = [];
  /** In order of time, then id. */
  readonly #cancels: readonly { readonly id: number; readonly at: TimeNs }[];
  /** Batches under way with their ends, oldest first, beside the core's queue. */
  readonly #ends: Instant[] = [];
  #clock: Instant = { ns: 0, ticks: 0 };
  /** Until when the batches scheduled so far keep each pipeline stage busy; mostly there is one. */
  readonly #busyUntil: Instant[];

  constructor(private readonly scenario: TimedScenario) {
    const stages = scenario.config.pipeline_parallel_size ?? 1;
    this.#busyUntil = Array.from({ length: stages }, () => ({ ns: 0, ticks: 0 }));
    this.#core = new EngineCore(scenario.config, scenario.requests);
    this.#cancels = scenario.requests
      .flatMap(({ cancelAt }, id) => (cancelAt === undefined ? [] : [{ id, at: cancelAt }]))
      .sort((a, b) => a.at - b.at || a.id - b.id);
  }

  run(): TimedReplay {
    const core = this.#core;
    const maxCalls = this.scenario.maxCalls ?? Number.POSITIVE_INFINITY;
    let end: Summary['end'] = 'done';
    while (end === 'done') {
      if (core.idle) {
        if (!core.nextArrival) break;
        this.#sleepUntil(core.nextArrival.spec.at);
      }
      const moved = this.#turn();
      if (core.numCalls >= maxCalls) end = 'max_steps';
      else if (!moved && !core.idle) {
        const next = this.#nextCommand();
        if (next !== undefined) this.#sleepUntil(next);
        else end = 'stuck';
      }
    }
    return {
      lines: this.#lines,
      calledAt: this.#calledAt,
      steps: this.#steps,
      requests: core.requests.map((request) => this.#row(request.id)),
      summary: core.summary(end),
      end: this.#clock,
    };
  }

  /** One boundary, call and update. False: another turn could not change anything by itself. */
  #turn(): boolean {
    const core = this.#core;
    const line: StepLine = { s: this.#lines.length };
    this.#lines.push(line);
    this.#calledAt.push(this.#clock);
    const added = core.arrive(this.#clock.ns);
    if (added.length > 0) line.add = added;
    const aborted = this.#cancelDue(this.#clock.ns);
    if (aborted.length > 0) line.abort = aborted;
    const call = core.schedule(this.#clock.ns, line);
    if (call) this.#start(call, line.s);
    const then = core.blocks;
    const batch = core.popBatch(call);
    if (batch) this.#finish(batch, line);
    core.close(line, then);

    if (this.scenario.cost.emptyStep > 0) {
      const waiting = core.numEmptyCalls >= STUCK_AFTER && core.scheduler.numUnfinished > 0;
      return !waiting || this.#nextCommand() !== undefined;
    }
    const idleCall = !call || (isEmpty(call) && call.preempted.length === 0);
    return !idleCall || (batch !== undefined && !isEmpty(batch.call)) || this.#anythingRuns();
  }

  /** The step of a call begins when the one before has ended; with stages, each gets an equal part. */
  #start(call: Call, s: number): void {
    const stages = this.#busyUntil;
    if (isEmpty(call) && stages.length > 1) return;
    const shape = shapeOf(call, this.scenario.cost.window);
    const { emptyStep } = this.scenario.cost;
    const ticks = isEmpty(call) ? emptyStep : this.#ticks(shape) + this.#waits(call);
    const start = later(this.#clock, stages[0]!);
    let end = this.#clock;
    for (const [i, busyUntil] of stages.entries()) {
      end = plus(later(end, busyUntil), Math.round(ticks / stages.length));
      stages[i] = end;
    }
    this.#ends.push(end);
    if (!isEmpty(call)) this.#steps.push({ s, start, end, shape });
  }

  /** For how long it waits for adapters before. */
  #waits({ loads, fetches }: Call): Ticks {
    const { loadTicks, fetchTicks } = this.scenario.adapterTicks ?? { loadTicks: 0, fetchTicks: 0 };
    return loads * loadTicks + fetches * fetchTicks;
  }

  /** Waits for the oldest batch; who is cancelled meanwhile gets nothing from it. */
  #finish(batch: Batch, line: StepLine): void {
    const end = later(this.#clock, this.#ends.shift()!);
    const aborted = this.#cancelDue(end.ns - 1);
    if (aborted.length > 0) line.abort2 = aborted;
    this.#clock = end;
    this.#core.update(batch, end.ns, line);
  }

  #ticks(shape: StepShape): Ticks {
    const { cost } = this.scenario;
    return (
      cost.base(shape) +
      cost.contextSlope(shape) * shape.decodeContext +
      cost.windowSlope(shape) * shape.decodeWindowContext
    );
  }

  /** Cancels, each at its own instant, what has arrived and is due at or before `ns`. */
  #cancelDue(ns: TimeNs): number[] {
    return this.#cancels
      .filter(({ id, at }) => id < this.#core.numAdded && at <= ns)
      .filter(({ id, at }) => this.#core.abort(this.#core.requests[id]!, at))
      .map(({ id }) => id);
  }

  /** When the next arrival or effective cancellation comes. */
  #nextCommand(): TimeNs | undefined {
    const times = this.scenario.requests.flatMap(({ at, cancelAt }, id) => {
      if (id >= this.#core.numAdded) return [at];
      return cancelAt === undefined || this.#core.requests[id]!.ended ? [] : [cancelAt];
    });
    return times.length > 0 ? Math.min(...times) : undefined;
  }

  #anythingRuns(): boolean {
    return this.#core.queue.some(({ call }) => !isEmpty(call));
  }

  #sleepUntil(ns: DurationNs): void {
    if (ns > this.#clock.ns) this.#clock = { ns, ticks: 0 };
  }

  #row(id: number): TimedRow {
    const { state, numOutputs, numPreemptions, cachedTokens } = this.#core.requests[id]!;
    const marks = this.#core.marks[id]!;
    return {
      id,
      end: state === 'length' || state === 'abort' ? state : 'unfinished',
      outputTokens: numOutputs,
      numPreemptions,
      cachedTokens: cachedTokens ?? 0,
      scheduledAt: marks.firstScheduled,
      firstTokenAt: marks.firstToken,
      lastTokenAt: marks.lastToken,
      endedAt: marks.ended,
    };
  }
}

const isEmpty = (call: Call): boolean => call.entries.length === 0;

const later = (a: Instant, b: Instant): Instant =>
  a.ns > b.ns || (a.ns === b.ns && a.ticks >= b.ticks) ? a : b;

function plus({ ns, ticks }: Instant, duration: Ticks): Instant {
  const sum = ticks + duration;
  return { ns: ns + Math.floor(sum / TICKS_PER_NS), ticks: sum % TICKS_PER_NS };
}

/** Σ over tokens after `history` of min(context, window), one token at a time. */
function pairsWithin(history: number, numTokens: number, window: number): number {
  let pairs = 0;
  for (let i = 1; i <= numTokens; i++) pairs += Math.min(history + i, window);
  return pairs;
}

/**
 * What is in a step. A decode is a running request that was not mid-prefill after its last step; an
 * admission is a prefill even if a single token was left to compute.
 */
export function shapeOf(call: Call, window: number): StepShape {
  const shape: StepShape = {
    numDecodes: 0,
    decodeContext: 0,
    decodeWindowContext: 0,
    prefillTokens: 0,
    numPrefills: 0,
    prefillPairs: 0,
    prefillWindowPairs: 0,
    prefillHistory: 0,
    numSampled: 0,
    loraTokens: 0,
    numAdapters: call.numAdapters,
  };
  for (const { request, numComputed, numScheduled, prefill, samples } of call.entries) {
    if (request.spec.lora !== undefined) shape.loraTokens! += numScheduled;
    if (samples) shape.numSampled += 1;
    if (prefill) {
      shape.numPrefills += 1;
      shape.prefillTokens += numScheduled;
      shape.prefillPairs += pairsWithin(numComputed, numScheduled, Number.POSITIVE_INFINITY);
      shape.prefillWindowPairs += pairsWithin(numComputed, numScheduled, window);
      shape.prefillHistory += numComputed;
    } else {
      shape.numDecodes += 1;
      shape.decodeContext += numComputed + numScheduled;
      shape.decodeWindowContext += Math.min(numComputed + numScheduled, window);
    }
  }
  return shape;
}
