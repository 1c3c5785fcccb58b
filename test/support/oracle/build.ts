/**
 * Builders of tiny scenarios: everything has a default, so a test states only what matters to it.
 */

import {
  derive,
  type GoldenConfig,
  type GoldenRequest,
  type GoldenScenario,
  type Segment,
} from '../../parity/golden.js';

/** Ten usable blocks of four tokens, sixteen tokens a step, nothing special switched on. */
export const SMALL: GoldenConfig = {
  block_size: 4,
  num_gpu_blocks: 11,
  max_num_batched_tokens: 16,
  max_num_scheduled_tokens: null,
  max_num_seqs: 8,
  max_num_active_seqs: null,
  max_model_len: 64,
  enable_chunked_prefill: true,
  enable_prefix_caching: false,
  policy: 'fcfs',
  long_prefill_token_threshold: 0,
  long_prefill_token_threshold_adaptive: false,
  scheduler_reserve_full_isl: true,
  watermark: 0,
  prefill_schedule_interval: 1,
  async_scheduling: false,
  num_speculative_tokens: 0,
  spec_method: null,
  spec_draft: 'full',
};

export interface Ask {
  readonly at?: number;
  /** A number of tokens shared with nobody, or segments. */
  readonly prompt: number | readonly Segment[];
  /** Output tokens. */
  readonly out: number;
  readonly prio?: number;
  readonly abort?: GoldenRequest['abort'];
}

/** A scenario of these requests; outputs of request i are of sequence 1000 + i. */
export function small(asks: readonly Ask[], config: Partial<GoldenConfig> = {}): GoldenScenario {
  const all = { ...SMALL, ...config };
  return {
    name: 'small',
    kind: 'hand',
    config: all,
    derived: derive(all),
    requests: asks.map(({ at = 0, prompt, out, prio, abort }, id) => ({
      at,
      prompt: typeof prompt === 'number' ? [[id + 1, prompt]] : prompt,
      max_tokens: out,
      out: 1000 + id,
      ...(prio === undefined ? {} : { prio }),
      ...(abort === undefined ? {} : { abort }),
    })),
  };
}
