/**
 * What speculative decoding adds to a schedule: k draft tokens a step are verified together with the
 * newest one, and those that hold are generated at once.
 *
 *   lookaheadTokens   blocks are taken for so many tokens more, where a model drafts (rule 40)
 *   draftSlots        a draft model reads one token more per request (rule 41)
 *   hashLookahead     with eagle a block's content depends on the token after it (rule 44)
 *   oneByOne          how far a request comes in a step is a draw, so nobody joins the aggregate
 */

import type { Acceptance, SchedulerConfig } from '../engine.js';
import type { RandomStream } from '../rng.js';

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

/** Draft i holds with a probability of its own, if all before it do: constant, or by position. */
export class RandomAcceptance implements Acceptance {
  /** @param rates probability for each position; the last one stands for all further. */
  constructor(
    private readonly rates: readonly number[],
    private readonly random: RandomStream,
  ) {}

  accepted(_request: unknown, numDrafts: number): number {
    const { rates } = this;
    for (let i = 0; i < numDrafts; i++) {
      const rate = rates[Math.min(i, rates.length - 1)] ?? 0;
      if (this.random.next() >= rate) return i;
    }
    return numDrafts;
  }
}
