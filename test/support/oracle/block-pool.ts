/**
 * The KV blocks, one object each: who uses them, what they contain, in which order they are given out.
 *
 * Slow and literal on purpose: the free list is an array, a block table is an array of blocks, and the
 * prefix cache is a map from content to the blocks that hold it, in the order they were cached.
 */

import { invariant } from '../../../src/core/errors.js';
import type { Pair } from '../../parity/golden.js';
import type { ContentId, Contents } from './content.js';

export interface Block {
  readonly number: number;
  users: number;
  /** Set while the block can be found by a look-up. */
  content: ContentId | undefined;
}

export class BlockPool {
  /** Block 0 is never used (rule 21). Allocation takes from the front (rule 23). */
  readonly #free: Block[];
  readonly #cached = new Map<ContentId, Block[]>();
  #evicted: Pair[] = [];

  constructor(
    numBlocks: number,
    private readonly contents: Contents | undefined,
  ) {
    this.#free = Array.from({ length: numBlocks - 1 }, (_, i) => ({
      number: i + 1,
      users: 0,
      content: undefined,
    }));
  }

  get numFree(): number {
    return this.#free.length;
  }

  /** Distinct contents in the prefix cache, in use or free. */
  get numCached(): number {
    return this.#cached.size;
  }

  /** Whether a block with this content is cached; the one cached first is the hit (rule 29). */
  find(content: ContentId): Block | undefined {
    return this.#cached.get(content)?.[0];
  }

  allocate(count: number): Block[] {
    invariant(count <= this.#free.length, 'only free blocks are allocated');
    const blocks = this.#free.splice(0, count);
    for (const block of blocks) {
      this.#evict(block);
      block.users = 1;
    }
    return blocks;
  }

  /** One more user for blocks found by a look-up; free ones leave the free list (rule 28). */
  touch(blocks: readonly Block[]): void {
    for (const block of blocks) {
      if (block.users === 0) this.#free.splice(this.#free.indexOf(block), 1);
      block.users += 1;
    }
  }

  /**
   * Gives a request's block table back, from its tail to its head (rule 23): blocks with a cached
   * content go to the back of the free list, the others to the front.
   */
  release(table: readonly Block[]): void {
    for (const block of table.toReversed()) {
      block.users -= 1;
      invariant(block.users >= 0, 'a block is released by its users only');
      if (block.users > 0) continue;
      if (block.content === undefined) this.#free.unshift(block);
      else this.#free.push(block);
    }
  }

  /** Makes a block findable. Equal contents may sit in several blocks (rule 29). */
  publish(block: Block, content: ContentId): void {
    invariant(block.content === undefined, 'a block is cached once');
    block.content = content;
    const holders = this.#cached.get(content);
    if (holders) holders.push(block);
    else this.#cached.set(content, [block]);
  }

  /** Blocks that lost their content since the last time this was asked, as `[owner, i]`. */
  takeEvicted(): Pair[] {
    const evicted = this.#evicted;
    this.#evicted = [];
    return evicted;
  }

  /** A block used for something else loses its content then, and not before (rule 24). */
  #evict(block: Block): void {
    if (block.content === undefined) return;
    const holders = this.#cached.get(block.content)!;
    holders.splice(holders.indexOf(block), 1);
    if (holders.length === 0) this.#cached.delete(block.content);
    this.#evicted.push(this.contents!.owners[block.content]!);
    block.content = undefined;
  }
}
