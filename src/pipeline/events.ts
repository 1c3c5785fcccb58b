/**
 * Events as objects of their own, for subscribers that keep or send them. The engine reuses what it
 * hands to a tracer; here it is copied, and only what was asked for.
 *
 *   detail     tells
 *   report     nothing but the report at the end
 *   requests   arrivals, admissions, preemptions and ends of requests
 *   steps      those, and every step
 *   tokens     those, and every token
 */

import {
  filter,
  type MonoTypeOperatorFunction,
  type Observable,
  type OperatorFunction,
} from 'rxjs';
import type { RequestHandle, RequestSpec, StepShape } from '../core/engine.js';
import type { RunReport } from '../core/metrics/report.js';
import type { RequestOutcome, StepEvent, Tracer } from '../core/trace/tracer.js';
import type { TimeNs } from '../core/units.js';

export const DETAILS = ['report', 'requests', 'steps', 'tokens'] as const;
export type Detail = (typeof DETAILS)[number];

export type SimulationEvent =
  | {
      readonly kind: 'request-arrive';
      readonly at: TimeNs;
      readonly instance: number;
      readonly handle: RequestHandle;
      readonly spec: RequestSpec;
    }
  | {
      readonly kind: 'request-schedule';
      readonly at: TimeNs;
      readonly instance: number;
      readonly handle: RequestHandle;
      readonly resumed: boolean;
      readonly cachedTokens: number;
    }
  | {
      readonly kind: 'request-preempt';
      readonly at: TimeNs;
      readonly instance: number;
      readonly handle: RequestHandle;
    }
  | {
      readonly kind: 'request-finish';
      readonly at: TimeNs;
      readonly instance: number;
      readonly outcome: RequestOutcome;
    }
  | {
      readonly kind: 'step-end';
      readonly at: TimeNs;
      readonly instance: number;
      readonly step: StepEvent;
    }
  | {
      readonly kind: 'tokens';
      readonly at: TimeNs;
      readonly instance: number;
      readonly handles: Float64Array;
      readonly numTokens: Uint8Array;
    }
  | { readonly kind: 'report'; readonly at: TimeNs; readonly report: RunReport };

export type EventOf<K extends SimulationEvent['kind']> = Extract<SimulationEvent, { kind: K }>;

/** Only events of one kind. */
export function ofKind<K extends SimulationEvent['kind']>(
  kind: K,
): OperatorFunction<SimulationEvent, EventOf<K>> {
  return filter((event): event is EventOf<K> => event.kind === kind);
}

/** Only events of one instance, and those that concern none. */
export function ofInstance(instance: number): MonoTypeOperatorFunction<SimulationEvent> {
  return (source: Observable<SimulationEvent>) =>
    source.pipe(filter((event) => !('instance' in event) || event.instance === instance));
}

/** A tracer that makes events of what it is told, in the detail asked for. */
export function recordEvents(detail: Detail, emit: (event: SimulationEvent) => void): Tracer {
  if (detail === 'report') return {};
  const requests: Tracer = {
    requestArrive: (at, handle, spec, instance) =>
      emit({ kind: 'request-arrive', at, instance, handle, spec }),
    requestSchedule: (at, handle, { instance, resumed, cachedTokens }) =>
      emit({ kind: 'request-schedule', at, instance, handle, resumed, cachedTokens }),
    requestPreempt: (at, handle, instance) =>
      emit({ kind: 'request-preempt', at, instance, handle }),
    requestFinish: (outcome) =>
      emit({
        kind: 'request-finish',
        at: outcome.endedAt,
        instance: outcome.instance,
        outcome: { ...outcome },
      }),
  };
  if (detail === 'requests') return requests;
  const steps: Tracer = {
    ...requests,
    step: (step) =>
      emit({
        kind: 'step-end',
        at: step.endAt,
        instance: step.instance,
        step: { ...step, shape: { ...step.shape } satisfies StepShape },
      }),
  };
  if (detail === 'steps') return steps;
  return {
    ...steps,
    tokens: ({ at, instance, count, handles, numTokens }) =>
      emit({
        kind: 'tokens',
        at,
        instance,
        handles: handles.slice(0, count),
        numTokens: numTokens.slice(0, count),
      }),
  };
}
