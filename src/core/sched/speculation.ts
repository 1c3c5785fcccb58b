/**
 * What speculative decoding adds to a schedule: k draft tokens a step are verified together with the
 * newest one, and those that hold are generated at once.
 *
 *   lookaheadTokens   blocks are taken for so many tokens more, where a model drafts (rule 40)
 *   draftSlots        a draft model reads one token more per request (rule 41)
 *   hashLookahead     with eagle a block's content depends on the token after it (rule 44)
 *   oneByOne          how far a request comes in a step is a draw, so nobody joins the aggregate
 */

import type { SchedulerConfig } from '../engine.js';

export interface Speculation {
  /** k; 0: no speculation. */
  readonly numDrafts: number;
  readonly lookaheadTokens: number;
  readonly draftSlots: 0 | 1;
  readonly hashLookahead: 0 | 1;
  /**
   * Whether every request is followed one by one. With pipeline stages as well: a request waits for its
   * batch to come back, which others do not.
   */
  readonly oneByOne: boolean;
}

export function speculationOf(config: SchedulerConfig): Speculation {
  const numDrafts = config.numSpeculativeTokens;
  const method = numDrafts > 0 ? config.speculativeMethod : undefined;
  return {
    numDrafts,
    lookaheadTokens: method === 'draft_model' || method === 'eagle' ? numDrafts : 0,
    draftSlots: method === 'draft_model' ? 1 : 0,
    hashLookahead: method === 'eagle' && config.enablePrefixCaching ? 1 : 0,
    oneByOne: numDrafts > 0 || stagesOf(config) > 1,
  };
}

/** Pipeline stages a batch passes through. */
export const stagesOf = ({ pipelineParallelSize = 1 }: SchedulerConfig): number =>
  pipelineParallelSize;
