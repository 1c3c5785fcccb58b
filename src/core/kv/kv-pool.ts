/**
 * The KV memory of one instance, as the scheduler sees it: a number of free blocks, and who can share.
 *
 * Block 0 is never used, as in vLLM. Two kinds of pool exist: the counted one, where free blocks are
 * all there is to know, and `PrefixPool`, which also knows contents. Neither says which request owns
 * which block, or how many: that follows from the computed tokens, and whoever takes or gives says it.
 */

import type { Request } from '../request/request.js';
import type { KvTiers } from './kv-tiers.js';

export interface KvPool {
  /** Blocks nobody uses; those with a cached content count. */
  readonly free: number;
  /** Blocks that can be used: all but block 0. */
  readonly capacity: number;
  /** Distinct contents a look-up could find. */
  readonly cachedBlocks: number;
  /** Blocks saved by sharing: Σ over used blocks of (users − 1). */
  readonly sharedBlocks: number;

  /** Tokens of `request` found in the cache, from its first token on, in whole blocks. */
  lookUp(request: Request): number;
  /** Of the blocks of the last look-up: how many nobody uses, so that using them takes from `free`. */
  readonly hitFreeBlocks: number;
  /** The call in which a decode publishes what the last look-up missed first; Infinity: none will. */
  readonly gainsAtCall: number;
  /** What is below the GPU, and found more of the last look-up; absent: nothing is. */
  readonly tiers: KvTiers | undefined;
  /** Gives an admitted request the blocks of the last look-up and `fresh` new ones. */
  admit(request: Request, fresh: number): void;
  /** Takes `blocks` new ones for whoever is running. */
  take(blocks: number): void;
  /**
   * The full blocks among the first `tokens` of a running request can be found from `call` on; `late`:
   * from its update on, after everything the call itself publishes.
   */
  publish(request: Request, tokens: number, call: number, late: boolean): void;
  /** From now on `request` decodes, and publishes blocks as they fill. */
  follow(request: Request): void;
  /** It does so no longer. To be told while it still is in the aggregate. */
  unfollow(request: Request): void;
  /** Takes back all `blocks` of a request; `comesBack`: it was preempted, and may look for them. */
  release(request: Request, blocks: number, comesBack: boolean): void;
}

export class CountedPool implements KvPool {
  free: number;
  readonly capacity: number;
  readonly cachedBlocks = 0;
  readonly sharedBlocks = 0;
  readonly hitFreeBlocks = 0;
  readonly gainsAtCall = Infinity;
  readonly tiers = undefined;

  constructor(numGpuBlocks: number) {
    this.capacity = numGpuBlocks - 1;
    this.free = this.capacity;
  }

  lookUp(): number {
    return 0;
  }

  admit(_request: Request, fresh: number): void {
    this.free -= fresh;
  }

  take(blocks: number): void {
    this.free -= blocks;
  }

  publish(): void {}

  follow(): void {}

  unfollow(): void {}

  release(_request: Request, blocks: number): void {
    this.free += blocks;
  }
}
