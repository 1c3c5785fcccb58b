/**
 * Events of a simulation as messages, some at a time.
 *
 * A message carries what became known together, cut so that it stays small: tokens weigh as much as
 * they are. Messages are written as literals: on this path making an object through the schema would
 * cost as much as simulating it.
 */

import type { Event, RequestFinish, TokenBatch } from '../../../gen/llmservingsim/v1/event_pb.js';
import type { RequestHandle, RequestSpec } from '../../core/engine.js';
import type { RequestOutcome } from '../../core/trace/tracer.js';
import { msFromNs } from '../../core/units.js';
import type { Arrival, Workload } from '../../core/workload/workload.js';
import { DETAILS, type Detail, type EventOf, type SimulationEvent } from '../../pipeline/events.js';
import { invalidField } from '../errors.js';

/** Events in a message when the caller did not say. */
const DEFAULT_EVENTS = 512;
/** Tokens and events together in a message, about: tens of kilobytes. */
const MAX_WEIGHT = 4096;

type ToldEvent = Exclude<SimulationEvent, EventOf<'report'>>;

/** Makes messages of events; remembers the ids of the requests that are under way. */
export class EventMessages {
  readonly #ids = new Map<RequestHandle, string>();
  readonly #numbers = new Map<RequestHandle, number>();
  readonly #maxEvents: number;
  readonly #byNumber: boolean;
  #numArrived = 0;

  constructor(options: { readonly maxEventsPerMessage: number; readonly tokensByNumber: boolean }) {
    this.#maxEvents = options.maxEventsPerMessage || DEFAULT_EVENTS;
    this.#byNumber = options.tokensByNumber;
  }

  /** The events in messages of bounded size. */
  *batches(events: readonly ToldEvent[]): Generator<Event[]> {
    let batch: Event[] = [];
    let weight = 0;
    for (const event of events) {
      const size = weightOf(event);
      if (batch.length === this.#maxEvents || (weight > 0 && weight + size > MAX_WEIGHT)) {
        yield batch;
        batch = [];
        weight = 0;
      }
      batch.push(this.#message(event));
      weight += size;
    }
    if (batch.length > 0) yield batch;
  }

  #message(event: ToldEvent): Event {
    return {
      $typeName: 'llmservingsim.v1.Event',
      atMs: msFromNs(event.at),
      // A request that never got there has no instance.
      ...(event.instance >= 0 && { instance: event.instance }),
      kind: this.#kind(event),
    };
  }

  #kind(event: ToldEvent): Event['kind'] {
    switch (event.kind) {
      case 'request-arrive': {
        const requestId = event.spec.id!;
        const requestNumber = this.#numArrived++;
        this.#ids.set(event.handle, requestId);
        this.#numbers.set(event.handle, requestNumber);
        return {
          case: 'requestArrive',
          value: {
            $typeName: 'llmservingsim.v1.RequestArrive',
            requestId,
            promptTokens: event.spec.promptTokens,
            requestNumber,
            lora: event.spec.lora ?? '',
          },
        };
      }
      case 'request-schedule':
        return {
          case: 'requestSchedule',
          value: {
            $typeName: 'llmservingsim.v1.RequestSchedule',
            requestId: this.#ids.get(event.handle)!,
            resumed: event.resumed,
            cachedTokens: event.cachedTokens,
          },
        };
      case 'request-preempt':
        return {
          case: 'requestPreempt',
          value: {
            $typeName: 'llmservingsim.v1.RequestPreempt',
            requestId: this.#ids.get(event.handle)!,
          },
        };
      case 'request-finish':
        this.#ids.delete(event.outcome.handle);
        this.#numbers.delete(event.outcome.handle);
        return { case: 'requestFinish', value: finishMessage(event.outcome) };
      case 'step-end': {
        const { step } = event;
        return {
          case: 'step',
          value: {
            $typeName: 'llmservingsim.v1.Step',
            startMs: msFromNs(step.startAt),
            numDecodes: step.shape.numDecodes,
            prefillTokens: step.shape.prefillTokens,
            decodeContext: step.shape.decodeContext,
            numRunning: step.numRunning,
            numWaiting: step.numWaiting,
            freeBlocks: step.freeBlocks,
            draftTokens: step.shape.draftTokens ?? 0,
            numPrefills: step.shape.numPrefills,
            numSampled: step.shape.numSampled,
            loraTokens: step.shape.loraTokens ?? 0,
            numAdapters: step.shape.numAdapters ?? 0,
          },
        };
      }
      case 'tokens':
        return { case: 'tokens', value: this.#tokens(event) };
    }
  }

  #tokens({ handles, numTokens }: EventOf<'tokens'>): TokenBatch {
    const single = numTokens.every((count) => count === 1);
    return {
      $typeName: 'llmservingsim.v1.TokenBatch',
      requestIds: this.#byNumber ? [] : named(handles, this.#ids),
      requestNumbers: this.#byNumber ? named(handles, this.#numbers) : [],
      numTokens: single ? [] : Array.from(numTokens),
    };
  }
}

function named<T>(handles: Float64Array, names: ReadonlyMap<RequestHandle, T>): T[] {
  const column = new Array<T>(handles.length);
  for (let i = 0; i < handles.length; i++) column[i] = names.get(handles[i]!)!;
  return column;
}

/** What an event counts for: a batch of tokens as much as it has rows. */
export const weightOf = (event: ToldEvent): number =>
  event.kind === 'tokens' ? event.handles.length : 1;

/** How a request ended. */
export function finishMessage(outcome: RequestOutcome): RequestFinish {
  const { arrivedAt, firstTokenAt, lastTokenAt, scheduledAt, outputTokens } = outcome;
  const since = (at: number) => msFromNs(at - arrivedAt);
  return {
    $typeName: 'llmservingsim.v1.RequestFinish',
    requestId: outcome.spec.id ?? String(outcome.index),
    arrivalMs: msFromNs(arrivedAt),
    promptTokens: outcome.spec.promptTokens,
    outputTokens,
    cachedTokens: outcome.cachedTokens,
    ...(firstTokenAt !== undefined && { ttftMs: since(firstTokenAt) }),
    ...(firstTokenAt !== undefined &&
      outputTokens > 1 && {
        tpotMs: msFromNs((lastTokenAt! - firstTokenAt) / (outputTokens - 1)),
      }),
    ...(lastTokenAt !== undefined && { e2eMs: since(lastTokenAt) }),
    ...(scheduledAt !== undefined && { queueMs: since(scheduledAt) }),
    numPreemptions: outcome.numPreemptions,
    finishReason: outcome.reason,
    lora: outcome.spec.lora ?? '',
  };
}

/** Every request has a name: its own, or its number in order of submission. */
export class NamedRequests implements Workload {
  readonly #load: Workload;
  #numGiven = 0;
  readonly ended?: (outcome: RequestOutcome) => void;

  constructor(load: Workload) {
    this.#load = load;
    if (load.ended) this.ended = (outcome) => load.ended?.(outcome);
  }

  next(): Arrival | undefined {
    const arrival = this.#load.next();
    if (!arrival) return undefined;
    return { at: arrival.at, spec: withId(arrival.spec, this.#numGiven++) };
  }
}

const withId = (spec: RequestSpec, number: number): RequestSpec =>
  spec.id === undefined ? { ...spec, id: String(number) } : spec;

/** @throws {ConnectError} */
export function detailOf(word: string, field: string, fallback: Detail): Detail {
  if (word === '') return fallback;
  const detail = DETAILS.find((known) => known === word);
  if (!detail) throw invalidField(field, DETAILS.join(', '), word);
  return detail;
}
