/**
 * What one schedule call decided, and what one update did.
 */

import type { Pair } from '../../parity/golden.js';
import type { OracleRequest } from './request.js';

/** One request's part in a batch. */
export interface Entry {
  readonly request: OracleRequest;
  readonly numScheduled: number;
  /** Computed tokens before this call. */
  readonly numComputed: number;
  /** Scheduled draft tokens, part of `numScheduled`. */
  readonly numDrafts: number;
  /** Whether it was admitted by this call. */
  readonly admitted: boolean;
  /** Whether it computes known tokens: it was admitted now, or was mid-prefill after its last step. */
  readonly prefill: boolean;
  /** Whether its update brings tokens (rules 4, 33). */
  samples: boolean;
}

export interface Hit {
  readonly request: OracleRequest;
  readonly tokens: number;
  readonly known: number;
}

/** What one schedule call decided. */
export interface Call {
  readonly entries: Entry[];
  readonly admitted: OracleRequest[];
  readonly resumed: OracleRequest[];
  readonly preempted: OracleRequest[];
  readonly hits: Hit[];
  evicted: Pair[];
  /** Adapters put on the GPU, and fetched from disk for that. */
  loads: number;
  fetches: number;
  /** Adapters that running requests need. */
  numAdapters: number;
}

/** What one update did with the tokens of a batch. */
export interface Update {
  readonly delivered: { readonly request: OracleRequest; readonly tokens: number }[];
  readonly accepted: { readonly request: OracleRequest; readonly drafts: number }[];
  readonly finished: OracleRequest[];
}
