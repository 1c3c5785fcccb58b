/**
 * The blocks of one request that have a content: the copies it uses, from the first block on. What else
 * it owns (the block being filled, drafts' blocks) is a number, and nobody's business here.
 */

import type { Request } from '../request/request.js';
import type { Copy, Stretch } from './stretch.js';

export class BlockTable {
  readonly copies: Copy[] = [];
  /** Blocks of each copy when it was entered. It may have been split since: see `Copy.above`. */
  readonly counts: number[] = [];
  size = 0;
  /** Blocks with a content: Σ counts. */
  blocks = 0;
  /** Blocks whose contents nobody else can look for, and which are entered only when they are released. */
  deferred = 0;
  /** The stretch at whose end they end. */
  tip: Stretch;
  /** While the request decodes: hash of the block it will publish next, and neighbours at the same tip. */
  following = false;
  nextKey = 0;
  nextWriter: BlockTable | undefined = undefined;
  prevWriter: BlockTable | undefined = undefined;

  constructor(
    readonly request: Request,
    root: Stretch,
  ) {
    this.tip = root;
  }

  clear(root: Stretch): void {
    this.size = 0;
    this.blocks = 0;
    this.deferred = 0;
    this.tip = root;
  }

  push(copy: Copy, count: number): void {
    this.copies[this.size] = copy;
    this.counts[this.size++] = count;
    this.blocks += count;
    this.tip = copy.stretch;
  }

  /** Waits at the tip as a writer of the block whose hash is `key`. */
  awaitAt(tip: Stretch, key: number): void {
    this.following = true;
    this.nextKey = key;
    this.prevWriter = undefined;
    this.nextWriter = tip.writers;
    if (tip.writers) tip.writers.prevWriter = this;
    tip.writers = this;
  }

  /** Is a writer no longer. */
  stopWaiting(): void {
    const { prevWriter, nextWriter } = this;
    if (prevWriter) prevWriter.nextWriter = nextWriter;
    else this.tip.writers = nextWriter;
    if (nextWriter) nextWriter.prevWriter = prevWriter;
    this.following = false;
  }
}
