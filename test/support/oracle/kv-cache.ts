/**
 * The KV of a request: how many blocks it needs, which of them a look-up finds, and when its own
 * blocks can be found by others.
 */

import {
  type Derived,
  type GoldenConfig,
  type GoldenRequest,
  PREFIX_KEYS,
} from '../../parity/golden.js';
import { type Block, BlockPool } from './block-pool.js';
import { type ContentId, Contents } from './content.js';
import type { OracleRequest } from './request.js';

export class KvCache {
  readonly pool: BlockPool;
  readonly prefixStats = Object.fromEntries(PREFIX_KEYS.map((key) => [key, 0])) as Record<
    (typeof PREFIX_KEYS)[number],
    number
  >;
  /** Absent without prefix caching. */
  readonly #contents: Contents | undefined;

  constructor(
    private readonly config: GoldenConfig,
    private readonly derived: Derived,
  ) {
    if (config.enable_prefix_caching) {
      this.#contents = new Contents(config.block_size, derived.hash_lookahead_tokens);
    }
    this.pool = new BlockPool(config.num_gpu_blocks, this.#contents);
  }

  /** The contents of a request's blocks; to be asked in order of id. */
  chain(id: number, spec: GoldenRequest): readonly ContentId[] {
    return this.#contents?.chain(id, spec) ?? [];
  }

  /** Tops the block table of a running request up (rule 22). False: not enough free blocks. */
  grow(request: OracleRequest, numScheduled: number): boolean {
    const target = this.#blocksFor(request.numComputed + numScheduled);
    const missing = target - request.blocks.length;
    if (missing > this.pool.numFree) return false;
    if (missing > 0) request.blocks.push(...this.pool.allocate(missing));
    return true;
  }

  /** Blocks for so many tokens and the lookahead of drafts (rules 22, 40). */
  #blocksFor(numTokens: number): number {
    const withLookahead = numTokens + this.derived.num_lookahead_tokens;
    return this.#blocks(Math.min(withLookahead, this.config.max_model_len));
  }

  #blocks(numTokens: number): number {
    return Math.ceil(numTokens / this.config.block_size);
  }

  /** Longest run of cached blocks from the start; the last token is always computed (rule 27). */
  lookUp(request: OracleRequest): Block[] {
    const hit: Block[] = [];
    if (!this.#contents) return hit;
    const limit = Math.floor((request.numKnown - 1) / this.config.block_size);
    for (let i = 0; i < limit && this.#contents.tokensFor(i) <= request.numKnown; i++) {
      const block = this.pool.find(request.chain[i]!);
      if (!block) break;
      hit.push(block);
    }
    return hit;
  }

  /** The gate (rule 10) and the blocks of this chunk (rule 11); both leave the watermark (rule 12). */
  hasRoom(
    request: OracleRequest,
    hit: readonly Block[],
    numTokens: number,
    anyRunning: boolean,
  ): boolean {
    const watermark = anyRunning ? this.derived.watermark_blocks : 0;
    // Rule 28: hit blocks on the free list leave it, hence count as needed.
    const hitFree = hit.filter((block) => block.users === 0).length;
    const fits = (blocks: number) => blocks - hit.length + hitFree + watermark <= this.pool.numFree;
    const whole = this.#blocks(Math.min(request.numKnown, this.config.max_model_len));
    if (this.config.scheduler_reserve_full_isl && !fits(whole)) return false;
    return fits(this.#blocksFor(numTokens));
  }

  /** Enters full blocks with an identity into the prefix cache. */
  publish(request: OracleRequest, numTokens: number): void {
    if (!this.#contents) return;
    const limit = Math.min(numTokens, request.numKnown);
    for (;;) {
      const i = request.numPublished;
      const full = (i + 1) * this.config.block_size <= limit;
      if (!full || this.#contents.tokensFor(i) > request.numKnown) return;
      this.pool.publish(request.blocks[i]!, request.chain[i]!);
      request.numPublished += 1;
    }
  }

  /** What an admission is counted as (rule 31). */
  record(request: OracleRequest, hitTokens: number): void {
    const resumed = request.numPreemptions > 0;
    const stats = this.prefixStats;
    stats[resumed ? 'preempted_queries' : 'queries'] += request.numKnown;
    stats[resumed ? 'preempted_hits' : 'hits'] += hitTokens;
    stats[resumed ? 'preempted_requests' : 'requests'] += 1;
  }

  /** Gives all blocks of a request back. */
  release(request: OracleRequest): void {
    this.pool.release(request.blocks);
    request.blocks = [];
    request.numPublished = 0;
  }
}
