/**
 * The KV memory of one instance, as the scheduler sees it: a number of free blocks, and who can share.
 *
 * Block 0 is never used, as in vLLM. A request owns exactly `ceil(computed / blockSize)` blocks, so
 * nobody stores how many: whoever takes or gives says how many tokens are computed. Two kinds exist:
 * this counted pool, for loads in which no two requests can share, and `PrefixPool`, which also knows
 * contents.
 */

import type { Request } from '../request/request.js';

export interface KvPool {
  /** Blocks nobody uses; those with a cached content count. */
  free: number;
  /** Blocks that can be used: all but block 0. */
  readonly capacity: number;
  /** Distinct contents a look-up could find. */
  readonly cachedBlocks: number;

  /** Tokens of `request` found in the cache, from its first token on, in whole blocks. */
  lookUp(request: Request): number;
  /** Of the blocks of the last look-up: how many nobody uses, so that using them takes from `free`. */
  readonly hitFreeBlocks: number;
  /** Gives an admitted request the blocks of the last look-up and `fresh` new ones. */
  admit(request: Request, hitTokens: number, fresh: number): void;
  /** Takes `blocks` new ones for whoever is running. */
  take(blocks: number): void;
  /** Tokens of a prompt up to `computed` are scheduled: its full blocks can be found from now on. */
  publish(request: Request, computed: number): void;
  /** Takes back the blocks of a request with `computed` tokens. */
  release(request: Request, computed: number): void;
}

export class CountedPool implements KvPool {
  free: number;
  readonly capacity: number;
  readonly cachedBlocks = 0;
  readonly hitFreeBlocks = 0;

  constructor(
    numGpuBlocks: number,
    private readonly blockSize: number,
  ) {
    this.capacity = numGpuBlocks - 1;
    this.free = this.capacity;
  }

  lookUp(): number {
    return 0;
  }

  admit(_request: Request, _hitTokens: number, fresh: number): void {
    this.free -= fresh;
  }

  take(blocks: number): void {
    this.free -= blocks;
  }

  publish(): void {}

  release(_request: Request, computed: number): void {
    this.free += Math.ceil(computed / this.blockSize);
  }
}
