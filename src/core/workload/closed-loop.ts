/**
 * A bound on requests in flight: a request is sent when its time has come and a slot is free.
 *
 * Arrival is sending: what waits for a slot waits at the client and is not part of TTFT. Slots are
 * taken in the order of the load inside.
 */

import type { RequestOutcome } from '../trace/tracer.js';
import type { TimeNs } from '../units.js';
import type { Arrival, Workload } from './workload.js';

export class ClosedLoop implements Workload {
  readonly #load: Workload;
  readonly #maxConcurrency: number;
  #numInFlight = 0;
  /** When the last slot became free: nothing that had to wait is sent before it. */
  #freeAt: TimeNs = 0;

  constructor(load: Workload, maxConcurrency: number) {
    this.#load = load;
    this.#maxConcurrency = maxConcurrency;
  }

  get numRequests(): number | undefined {
    return this.#load.numRequests;
  }

  next(): Arrival | undefined {
    if (this.#numInFlight >= this.#maxConcurrency) return undefined;
    const arrival = this.#load.next();
    if (!arrival) return undefined;
    this.#numInFlight++;
    return arrival.at >= this.#freeAt ? arrival : { at: this.#freeAt, spec: arrival.spec };
  }

  ended(outcome: RequestOutcome): void {
    this.#numInFlight--;
    this.#freeAt = Math.max(this.#freeAt, outcome.endedAt);
    this.#load.ended?.(outcome);
  }
}
