/**
 * A request as the oracle keeps it: everything explicit, nothing derived.
 */

import type { GoldenRequest } from '../../parity/golden.js';
import type { Block } from './block-pool.js';
import { type ContentId, promptLength } from './content.js';

export class OracleRequest {
  readonly promptTokens: number;
  readonly priority: number;
  state: 'waiting' | 'running' | 'length' | 'abort' = 'waiting';
  numOutputs = 0;
  /** Tokens with KV, or scheduled to have it (rule 4). */
  numComputed = 0;
  /** Asynchronous mode: outputs scheduled whose tokens have not come yet (rule 33). */
  numPlaceholders = 0;
  /** With pipeline stages: batches under way that will bring it a token; 0 or 1. */
  numInFlight = 0;
  /** Draft tokens waiting to be verified (rule 1). */
  numDrafts = 0;
  /** Whether the last step it was in left known tokens uncomputed. */
  midPrefill = false;
  blocks: Block[] = [];
  /** Blocks from the start of `blocks` that were found in, or entered into, the prefix cache. */
  numPublished = 0;
  numPreemptions = 0;
  /** Tokens found in the prefix cache at the first admission. */
  cachedTokens: number | undefined;

  constructor(
    readonly id: number,
    readonly spec: GoldenRequest,
    /** Contents of its full blocks; empty without prefix caching. */
    readonly chain: readonly ContentId[],
  ) {
    this.promptTokens = promptLength(spec);
    this.priority = spec.prio ?? 0;
  }

  /** Prompt and outputs received so far. */
  get numKnown(): number {
    return this.promptTokens + this.numOutputs;
  }

  get ended(): boolean {
    return this.state === 'length' || this.state === 'abort';
  }
}

/** Order of the priority policy: urgency, then arrival, which ids follow. */
export const byPriority = (a: OracleRequest, b: OracleRequest): number =>
  a.priority - b.priority || a.id - b.id;
