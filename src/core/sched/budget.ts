/**
 * What one call may still schedule. With a draft model every request costs one more of
 * `max_num_batched_tokens`, for the token the draft model reads (rule 41).
 */

import type { SchedulerConfig } from '../engine.js';

export class Budget {
  #tokens = 0;
  #slots = 0;

  constructor(
    private readonly config: SchedulerConfig,
    readonly draftSlots: 0 | 1,
  ) {}

  /** A call begins. */
  reset(): void {
    this.#tokens = this.config.maxNumScheduledTokens;
    this.#slots = this.config.maxNumBatchedTokens;
  }

  /** Most tokens the next request may take; 0 when the call is full. */
  get left(): number {
    if (this.draftSlots === 0) return this.#tokens;
    return Math.max(0, Math.min(this.#tokens, this.#slots - this.draftSlots));
  }

  /** `tokens` tokens are scheduled, of one request. */
  take(tokens: number): void {
    this.#tokens -= tokens;
    this.#slots -= tokens + this.draftSlots;
  }

  /** A request was taken out of the batch again (18). */
  giveBack(tokens: number): void {
    this.#tokens += tokens;
    this.#slots += tokens + this.draftSlots;
  }
}
