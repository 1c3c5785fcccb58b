/**
 * A rate that grows while the load lasts.
 *
 * Request i of n is drawn at the rate r(p), p = i / (n − 1), as in `vllm bench serve`: the ramp runs
 * over requests, not over time, so by time the load spends most at its low rates.
 */

import type { Gaps } from './gaps.js';

export const RAMP_UP_STRATEGIES = ['linear', 'exponential'] as const;
export type RampUpStrategy = (typeof RAMP_UP_STRATEGIES)[number];

export interface RampUp {
  readonly strategy: RampUpStrategy;
  /** Requests per second. */
  readonly startRps: number;
  readonly endRps: number;
}

/** Requests per second at request `index` of `numRequests`. */
export function rampRate(ramp: RampUp, index: number, numRequests: number): number {
  const p = index / Math.max(numRequests - 1, 1);
  return ramp.strategy === 'linear'
    ? ramp.startRps + (ramp.endRps - ramp.startRps) * p
    : ramp.startRps * (ramp.endRps / ramp.startRps) ** p;
}

/** Turns gaps of mean 1 into seconds under a ramp. */
export class RampedGaps {
  readonly #gaps: Gaps;
  readonly #ramp: RampUp;
  readonly #numRequests: number;
  #index = 0;

  constructor(gaps: Gaps, ramp: RampUp, numRequests: number) {
    this.#gaps = gaps;
    this.#ramp = ramp;
    this.#numRequests = numRequests;
  }

  next(): number {
    const index = this.#index++;
    // A linear ramp from 0 starts at the first rate that is not 0: no gap is infinite.
    const rate =
      rampRate(this.#ramp, index, this.#numRequests) ||
      rampRate(this.#ramp, index + 1, this.#numRequests) ||
      this.#ramp.endRps;
    return this.#gaps.next() / rate;
  }
}
