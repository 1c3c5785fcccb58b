/**
 * When prefill is held while something decodes: every N steps (`prefill_schedule_interval`, rules 45–47), when new requests are looked
 * for (`scheduler_recv_interval`), or until there is company (`batch_wait_timeout_iters`, `batch_wait_max_tokens_ratio`).
 */

import type { GoldenConfig } from '../../parity/golden.js';
import type { Call } from './batch.js';
import type { OracleRequest } from './request.js';

/** Tokens that the running and those with a slot in the queue would take, prefill included; and how many of them are prefill. */
export interface Wanted {
  readonly all: number;
  readonly prefill: number;
}

export class Cadence {
  /** Calls with tokens so far. */
  #numExecuted = 0;
  /** `#numExecuted` at the last step that carried prefill. */
  #lastPrefill = Number.NEGATIVE_INFINITY;
  #capacityBound = false;
  /** Calls with tokens since requests were looked for. */
  #sincePoll = Number.POSITIVE_INFINITY;
  #numWaited = 0;
  #waits = false;

  constructor(private readonly config: GoldenConfig) {}

  /** Whether this call holds prefill. */
  holds(running: readonly OracleRequest[], wanted: Wanted): boolean {
    const decoding = running.some((request) => !request.midPrefill);
    return this.#polls(decoding) || this.#waitsFor(decoding, wanted) || this.#everyNth(decoding);
  }

  /** Rule 45. */
  #everyNth(decoding: boolean): boolean {
    const interval = this.config.prefill_schedule_interval;
    return (
      interval > 1 &&
      this.#numExecuted - this.#lastPrefill < interval &&
      !this.#capacityBound &&
      decoding
    );
  }

  #polls(decoding: boolean): boolean {
    const interval = this.config.scheduler_recv_interval ?? 1;
    if (interval === 1 || this.#sincePoll >= interval || !decoding) {
      this.#sincePoll = 0;
      return false;
    }
    return !this.#capacityBound;
  }

  #waitsFor(decoding: boolean, { all, prefill }: Wanted): boolean {
    const { batch_wait_timeout_iters: timeout = 0, batch_wait_max_tokens_ratio: ratio = 0 } =
      this.config;
    this.#waits = false;
    if (timeout === 0 || !decoding || prefill === 0) return false;
    const enough = all >= ratio * this.config.max_num_batched_tokens;
    this.#waits = this.#numWaited < timeout && !enough;
    if (!this.#waits) this.#numWaited = 0;
    return this.#waits;
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
    if (carries) {
      this.#lastPrefill = this.#numExecuted;
      this.#sincePoll = Number.POSITIVE_INFINITY;
    }
    if (call.entries.length === 0) return;
    this.#numExecuted += 1;
    this.#sincePoll += 1;
    if (this.#waits) this.#numWaited += 1;
  }
}
