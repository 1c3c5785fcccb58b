/** What a load offered: how many requests over how long, measured as they are handed out. */

import type { RequestOutcome } from '../trace/tracer.js';
import type { DurationNs, TimeNs } from '../units.js';
import type { Arrival, Workload } from './workload.js';

export class OfferedLoad implements Workload {
  readonly #load: Workload;
  #numGiven = 0;
  #firstAt: TimeNs = 0;
  #lastAt: TimeNs = 0;
  /** Present only when the load wants to know: listening costs the engine a call per request. */
  readonly ended?: (outcome: RequestOutcome) => void;

  constructor(load: Workload) {
    this.#load = load;
    if (load.ended) this.ended = (outcome) => load.ended?.(outcome);
  }

  get numRequests(): number | undefined {
    return this.#load.numRequests;
  }

  get numGiven(): number {
    return this.#numGiven;
  }

  /** From the first arrival to the last one so far. */
  get spanNs(): DurationNs {
    return this.#lastAt - this.#firstAt;
  }

  next(): Arrival | undefined {
    const arrival = this.#load.next();
    if (!arrival) return undefined;
    if (this.#numGiven++ === 0) this.#firstAt = arrival.at;
    this.#lastAt = arrival.at;
    return arrival;
  }
}
