/**
 * Speculative decoding as the golden traces define it: formulas instead of models.
 */

import type { GoldenConfig } from '../../parity/golden.js';
import type { OracleRequest } from './request.js';

/** How many of `numDrafts` scheduled drafts hold, given the outputs before this update. */
export function accepted(config: GoldenConfig, request: OracleRequest, numDrafts: number): number {
  const k = config.num_speculative_tokens;
  return Math.min(numDrafts, (request.spec.out * 31 + request.numOutputs * 17) % (k + 1));
}

/** How many drafts are proposed after an update, in synchronous mode. */
export function proposed(config: GoldenConfig, request: OracleRequest): number {
  const k = config.num_speculative_tokens;
  if (config.spec_draft === 'full') return k;
  return (request.spec.out * 13 + request.numOutputs * 7) % (k + 1);
}

/**
 * What one call may still schedule. A draft model makes two budgets of it (rule 41): each scheduled
 * request costs its tokens, and of `max_num_batched_tokens` one slot more.
 */
export class Budget {
  #tokens: number;
  #slots: number;

  constructor(
    config: GoldenConfig,
    private readonly draftSlots: number,
  ) {
    this.#tokens = config.max_num_scheduled_tokens ?? config.max_num_batched_tokens;
    this.#slots = draftSlots > 0 ? config.max_num_batched_tokens : Number.POSITIVE_INFINITY;
  }

  /** Most tokens the next request may take; 0 when the call is full. */
  get left(): number {
    return Math.max(0, Math.min(this.#tokens, this.#slots - this.draftSlots));
  }

  take(tokens: number): void {
    this.#tokens -= tokens;
    this.#slots -= tokens + this.draftSlots;
  }

  /** A request was taken out of the batch again (rule 18). */
  giveBack(tokens: number): void {
    this.#tokens += tokens;
    this.#slots += tokens + this.draftSlots;
  }
}
