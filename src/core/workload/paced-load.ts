/**
 * Requests at drawn times: a stream of gaps beside a stream of bodies. Nothing is materialised.
 *
 * Like `vllm bench serve`, a load of n requests at rate r ends at exactly n/r: all gaps are stretched
 * by one factor. The factor needs their sum first, so the gaps are drawn twice from the same seed
 * instead of being kept; that costs tens of nanoseconds a request and no memory.
 */

import { NS_PER_S, type TimeNs } from '../units.js';
import type { Gaps } from './arrivals/gaps.js';
import type { Bodies } from './lengths/random.js';
import type { Arrival, Workload } from './workload.js';

export interface PacedLoadOptions {
  readonly gaps: Pick<Gaps, 'next'>;
  /** Seconds per unit of gap. */
  readonly gapSeconds: number;
  readonly bodies: Bodies;
  /** Absent: as many as there are bodies. */
  readonly numRequests?: number | undefined;
}

export class PacedLoad implements Workload {
  readonly #gaps: Pick<Gaps, 'next'>;
  readonly #gapNs: number;
  readonly #bodies: Bodies;
  readonly #limit: number;
  #elapsed = 0;
  #numGiven = 0;

  constructor({ gaps, gapSeconds, bodies, numRequests }: PacedLoadOptions) {
    this.#gaps = gaps;
    this.#gapNs = gapSeconds * NS_PER_S;
    this.#bodies = bodies;
    this.#limit = numRequests ?? Infinity;
  }

  get numRequests(): number | undefined {
    return this.#limit === Infinity ? undefined : this.#limit;
  }

  next(): Arrival | undefined {
    if (this.#numGiven >= this.#limit) return undefined;
    const spec = this.#bodies.next();
    if (!spec) return undefined;
    this.#numGiven++;
    this.#elapsed += this.#gaps.next();
    const at: TimeNs = Math.round(this.#elapsed * this.#gapNs);
    return { at, spec };
  }
}

/** The factor that makes the next `numRequests` gaps last as long as their mean says; draws them. */
export function normaliser(gaps: Gaps, numRequests: number): number {
  const sum = gaps.sum(numRequests);
  return sum > 0 ? numRequests / sum : 1;
}
