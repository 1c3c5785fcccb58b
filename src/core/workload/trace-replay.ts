/**
 * A recorded trace as a load: its rows at their own times, faster or slower by a factor.
 *
 * Rows come from a port (`src/files` reads them lazily), their first one at time 0.
 */

import type { RequestSpec } from '../engine.js';
import type { Bodies } from './lengths/random.js';
import type { Arrival, Workload } from './workload.js';

/** Rows of a trace in time order, read one at a time. */
export interface TraceSource {
  next(): Arrival | undefined;
  /** Lets go of the file, when the trace is not read to its end. */
  close?(): void;
}

export interface TraceReplayOptions {
  /** Factor on the speed of arrivals: 2 is twice as fast. */
  readonly speed: number;
  /** Rows to replay; absent: all. */
  readonly numRequests?: number | undefined;
}

export class TraceReplay implements Workload {
  readonly #source: TraceSource;
  readonly #speed: number;
  readonly #limit: number;
  #numGiven = 0;

  constructor(source: TraceSource, { speed, numRequests }: TraceReplayOptions) {
    this.#source = source;
    this.#speed = speed;
    this.#limit = numRequests ?? Infinity;
  }

  next(): Arrival | undefined {
    if (this.#numGiven >= this.#limit) {
      this.#source.close?.();
      return undefined;
    }
    const row = this.#source.next();
    if (!row) return undefined;
    this.#numGiven++;
    return this.#speed === 1 ? row : { at: Math.round(row.at / this.#speed), spec: row.spec };
  }
}

/** The rows of a trace without their times, for a load that is paced by a rate. */
export class TraceBodies implements Bodies {
  readonly #source: TraceSource;
  #numLeft: number;

  constructor(source: TraceSource, numRequests = Infinity) {
    this.#source = source;
    this.#numLeft = numRequests;
  }

  next(): RequestSpec | undefined {
    if (this.#numLeft-- > 0) return this.#source.next()?.spec;
    this.#source.close?.();
    return undefined;
  }
}
