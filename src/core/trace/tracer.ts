/**
 * What a run can be asked to tell.
 *
 * A tracer has the methods it wants to be called on and no others: asking for little costs little.
 * Objects handed over are reused by the engine; copy what is kept. A tracer may `submit` and `cancel`
 * from inside a call (a closed loop does), at the instant it was told of or later.
 */

import type { FinishReason, RequestHandle, RequestSpec, StepShape } from '../engine.js';
import type { DurationNs, TimeNs } from '../units.js';

export interface Tracer {
  /** A request reached the scheduler of `instance` (its input latency is over). */
  requestArrive?(at: TimeNs, handle: RequestHandle, spec: RequestSpec, instance: number): void;
  /** It was admitted, for the first time or again after a preemption. */
  requestSchedule?(at: TimeNs, handle: RequestHandle, admission: Admission): void;
  requestPreempt?(at: TimeNs, handle: RequestHandle, instance: number): void;
  /** It ended: finished, aborted or rejected. Always the last word about a handle. */
  requestFinish?(outcome: RequestOutcome): void;
  /** A step ended. Asking for steps makes the engine expand its runs. */
  step?(step: StepEvent): void;
  /** A schedule call was made. For whoever replays decisions one by one; expands runs. */
  called?(call: CallView): void;
  /** The tokens of a batch were delivered, and those that got their last one have ended. */
  updated?(call: CallView): void;
  /** Tokens left, all at the end of one step of one instance. Asking expands runs as well. */
  tokens?(batch: TokenBatch): void;
}

/** The scheduler of an instance, as it stands when it is told of. Valid during the call. */
export interface CallView {
  readonly at: TimeNs;
  readonly instance: number;
  /** Served by the call just made, in the order of the batch. */
  readonly scheduled: readonly ScheduledRequest[];
  readonly freeBlocks: number;
  readonly cachedBlocks: number;
  running(): RequestHandle[];
  /** In the order in which they would be served. */
  waiting(): RequestHandle[];
}

export interface ScheduledRequest {
  readonly handle: RequestHandle;
  readonly numTokens: number;
  readonly numComputedTokens: number;
  /** Draft tokens, part of `numTokens`. */
  readonly numDrafts: number;
}

export interface Admission {
  readonly instance: number;
  readonly resumed: boolean;
  /** Leading tokens found in the prefix cache. */
  readonly cachedTokens: number;
  /** Tokens known when the cache was asked. */
  readonly knownTokens: number;
}

/** How a request ended, with everything its row in a table needs. */
export interface RequestOutcome {
  readonly handle: RequestHandle;
  readonly spec: RequestSpec;
  /** Its number in order of submission, from 0. */
  readonly index: number;
  /** −1: it never reached an instance. */
  readonly instance: number;
  readonly reason: FinishReason;
  readonly arrivedAt: TimeNs;
  /** First scheduled, first and last token; `undefined` where it did not get so far. */
  readonly scheduledAt: TimeNs | undefined;
  readonly firstTokenAt: TimeNs | undefined;
  readonly lastTokenAt: TimeNs | undefined;
  readonly endedAt: TimeNs;
  readonly outputTokens: number;
  readonly cachedTokens: number;
  readonly numPreemptions: number;
}

export interface StepEvent {
  readonly instance: number;
  readonly startAt: TimeNs;
  readonly endAt: TimeNs;
  readonly durationNs: DurationNs;
  readonly shape: Readonly<StepShape>;
  readonly numRunning: number;
  readonly numWaiting: number;
  readonly freeBlocks: number;
}

/** The tokens of one step, as packed columns: row i says that `handles[i]` got `numTokens[i]` tokens. */
export interface TokenBatch {
  readonly at: TimeNs;
  readonly instance: number;
  readonly count: number;
  readonly handles: Float64Array;
  readonly numTokens: Uint8Array;
}

/** Hands each event to all `tracers`; a method exists where any of them has it. */
export function fanOut(tracers: readonly Tracer[]): Tracer {
  if (tracers.length === 1) return tracers[0]!;
  const all: Record<string, (...args: unknown[]) => void> = {};
  for (const name of EVENT_NAMES) {
    const ears = tracers.filter((tracer) => tracer[name]);
    if (ears.length === 0) continue;
    all[name] = (...args) => {
      for (const tracer of ears) (tracer[name] as (...args: unknown[]) => void)(...args);
    };
  }
  return all as Tracer;
}

const EVENT_NAMES = [
  'requestArrive',
  'requestSchedule',
  'requestPreempt',
  'requestFinish',
  'step',
  'called',
  'updated',
  'tokens',
] as const satisfies readonly (keyof Tracer)[];
