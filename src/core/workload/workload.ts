/**
 * Where requests come from: a port that yields arrivals in time order, one at a time.
 *
 * Nothing is materialised: a trace of millions of requests is read while it is simulated. A closed
 * loop or a conversation is a workload whose next arrival depends on what has finished; it is told.
 */

import type { RequestSpec } from '../engine.js';
import type { RequestOutcome } from '../trace/tracer.js';
import type { TimeNs } from '../units.js';

export interface Arrival {
  readonly at: TimeNs;
  readonly spec: RequestSpec;
}

export interface Workload {
  /**
   * The next arrival, never earlier than the one before; `undefined`: none is known now. After a
   * request has ended there may be more.
   */
  next(): Arrival | undefined;
  /** A request of this workload ended (finished, aborted, rejected). */
  ended?(outcome: RequestOutcome): void;
  /** How many requests it has in all, where that is known (for progress). */
  readonly numRequests?: number | undefined;
}
