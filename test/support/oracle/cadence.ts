/**
 * `prefill_schedule_interval` N: prefill only every N steps while something decodes (rules 45–47).
 */

import type { Call } from './batch.js';
import type { OracleRequest } from './request.js';

export class Cadence {
  /** Calls with tokens so far. */
  #numExecuted = 0;
  /** `#numExecuted` at the last step that carried prefill. */
  #lastPrefill = Number.NEGATIVE_INFINITY;
  #capacityBound = false;

  constructor(private readonly interval: number) {}

  /** Rule 45: whether this call holds prefill. */
  holds(running: readonly OracleRequest[]): boolean {
    return (
      this.interval > 1 &&
      this.#numExecuted - this.#lastPrefill < this.interval &&
      !this.#capacityBound &&
      running.some((request) => !request.midPrefill)
    );
  }

  /** Rule 46: a call that was not held reached admission; it may leave requests waiting. */
  released(waiting: readonly OracleRequest[]): void {
    this.#capacityBound = waiting.length > 0;
  }

  /** Rule 47: running chunks carry prefill, and admissions with more than one token to compute. */
  called(call: Call): void {
    const carries = call.entries.some(({ request, admitted, prefill, numComputed }) => {
      return admitted ? request.numKnown - numComputed > 1 : prefill;
    });
    if (carries) this.#lastPrefill = this.#numExecuted;
    if (call.entries.length > 0) this.#numExecuted += 1;
  }
}
