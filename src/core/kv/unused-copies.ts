/**
 * Copies nobody uses, in the order in which their blocks will be given to others: least recently
 * released first, and of one copy the last block first, because a request releases its blocks from the
 * tail to the head (rule 23). Free blocks without a content are used before any of these; they are only
 * a number, and it is not kept here.
 */

import type { Copy } from './stretch.js';

export class UnusedCopies {
  oldest: Copy | undefined;
  #newest: Copy | undefined;
  numBlocks = 0;

  push(copy: Copy): void {
    copy.older = this.#newest;
    copy.newer = undefined;
    if (this.#newest) this.#newest.newer = copy;
    else this.oldest = copy;
    this.#newest = copy;
    this.numBlocks += copy.stretch.numBlocks;
  }

  remove(copy: Copy): void {
    const { older, newer } = copy;
    if (older) older.newer = newer;
    else this.oldest = newer;
    if (newer) newer.older = older;
    else this.#newest = older;
    copy.older = undefined;
    copy.newer = undefined;
    this.numBlocks -= copy.stretch.numBlocks;
  }

  /** The first blocks of `copy` are a copy of their own now: `upper`, which goes after it. */
  split(copy: Copy, upper: Copy): void {
    const { newer } = copy;
    upper.older = copy;
    upper.newer = newer;
    copy.newer = upper;
    if (newer) newer.older = upper;
    else this.#newest = upper;
  }
}
