/**
 * `prefill_schedule_interval` N: while something decodes, only every N-th step carries prefill, unless
 * the last release left requests waiting (rules 45–47).
 */

export class Cadence {
  /** Steps with tokens so far, and the last of them that carried prefill. */
  #executed = 0;
  #lastPrefill = Number.NEGATIVE_INFINITY;
  #capacityBound = false;

  constructor(private readonly interval: number) {}

  /** Whether the call about to be made holds prefill back. */
  holds(decoding: boolean): boolean {
    return this.interval > 1 && this.callsHeld() > 0 && decoding && !this.#capacityBound;
  }

  /** How many calls from now on may hold. */
  callsHeld(): number {
    return this.#lastPrefill + this.interval - 1 - this.#executed;
  }

  /** A call that did not hold has admitted whom it could. */
  released(numWaiting: number): void {
    this.#capacityBound = numWaiting > 0;
  }

  /** `calls` calls with tokens were made; the last one may have carried prefill. */
  executed(calls: number, carriedPrefill: boolean): void {
    this.#executed += calls;
    if (carriedPrefill) this.#lastPrefill = this.#executed;
  }
}
