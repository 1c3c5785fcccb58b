/**
 * The prefix cache's memory of contents: a tree of stretches, each some blocks in a row.
 *
 * A path from the root spells the blocks of a prompt. Stretches are as long as they can be: one is split
 * only where a request turns off in its middle. Normally one copy of a stretch is in memory; requests
 * that computed the same blocks at the same time hold copies of their own (vLLM does not merge them,
 * rule 29), and a look-up finds the one that was cached first.
 *
 * All users of a copy use all of it, so one count of users is enough for all its blocks.
 */

import { invariant } from '../errors.js';
import type { BlockTable } from './block-table.js';
import type { Chain } from './chain.js';
import { hash } from './chain.js';
import type { Strand } from './strand.js';

/** Children looked through one by one; with more there is a map. */
const FEW_CHILDREN = 8;

/** Blocks in memory that hold a stretch. */
export class Copy {
  stretch!: Stretch;
  users = 0;
  /** Neighbours among the copies nobody uses, by when they were released. */
  older: Copy | undefined = undefined;
  newer: Copy | undefined = undefined;
  /** The copy of the blocks before these that were split off: whoever began to use both as one has it too. */
  above: Copy | undefined = undefined;
  /** The next copy of the same stretch, in the order they were cached. */
  next: Copy | undefined = undefined;
  /** When block j was cached: in call `call + j·stride`, in order of `position` within a call. */
  call = 0;
  stride = 0;
  position = 0;
}

export class Stretch {
  parent: Stretch | undefined = undefined;
  numBlocks = 0;
  /** Identity of the first block; see `Chain`. The pieces of a seam, else `undefined`. */
  key = 0;
  content = 0;
  first = 0;
  pieces: readonly number[] | undefined = undefined;
  /** With tiers: the name of its blocks, which begin at position `at` of the strand. */
  strand: Strand | undefined = undefined;
  at = 0;
  /** The copies, first cached first. */
  copies: Copy | undefined = undefined;
  /** Decodes that will publish below the end of this stretch. */
  writers: BlockTable | undefined = undefined;

  /** Next child of the same parent (few), or the next one with the same key (many). */
  #sibling: Stretch | undefined = undefined;
  #child: Stretch | undefined = undefined;
  #byKey: Map<number, Stretch> | undefined = undefined;
  #numChildren = 0;

  get numChildren(): number {
    return this.#numChildren;
  }

  /** The child that begins with the block under the cursor. */
  childAt(chain: Chain): Stretch | undefined {
    const { key } = chain;
    let child = this.#byKey ? this.#byKey.get(key) : this.#child;
    while (child && !(child.key === key && child.beginsAt(chain))) child = child.#sibling;
    return child;
  }

  beginsAt({ content, first, pieces, numPieces }: Chain): boolean {
    if (this.content !== content || this.first !== first) return false;
    const own = this.pieces;
    if (!own || numPieces === 0) return !own && numPieces === 0;
    if (own.length !== numPieces) return false;
    for (let i = 2; i < numPieces; i++) if (own[i] !== pieces[i]) return false;
    return true;
  }

  add(child: Stretch): void {
    child.parent = this;
    this.#numChildren++;
    if (this.#byKey) {
      child.#sibling = this.#byKey.get(child.key);
      this.#byKey.set(child.key, child);
      return;
    }
    child.#sibling = this.#child;
    this.#child = child;
    if (this.#numChildren > FEW_CHILDREN) this.#index();
  }

  #index(): void {
    this.#byKey = new Map();
    let child = this.#child;
    this.#child = undefined;
    while (child) {
      const next: Stretch | undefined = child.#sibling;
      child.#sibling = this.#byKey.get(child.key);
      this.#byKey.set(child.key, child);
      child = next;
    }
  }

  /** Takes `child` out; `instead` takes its place, beginning with the same block. */
  #replace(child: Stretch, instead: Stretch | undefined): void {
    const after = instead ?? child.#sibling;
    if (instead) {
      instead.#sibling = child.#sibling;
      instead.parent = this;
    } else this.#numChildren--;
    const head = this.#byKey ? this.#byKey.get(child.key) : this.#child;
    if (head === child) {
      if (!this.#byKey) this.#child = after;
      else if (after) this.#byKey.set(child.key, after);
      else this.#byKey.delete(child.key);
      return;
    }
    let before = head!;
    while (before.#sibling !== child) before = before.#sibling!;
    before.#sibling = after;
  }

  /** Leaves the tree, if it was in it: nobody has its blocks any more. */
  leave(): void {
    if (!this.parent) return;
    invariant(this.#numChildren === 0, 'the cache holds what comes before what it holds');
    this.parent.#replace(this, undefined);
    this.parent = undefined;
    this.#sibling = undefined;
    this.#byKey = undefined;
  }

  /** Moves the first `numBlocks` blocks to `upper`, which takes this stretch's place; copies aside. */
  giveTo(upper: Stretch, numBlocks: number, blockSize: number): void {
    const parent = this.parent!;
    upper.numBlocks = numBlocks;
    upper.key = this.key;
    upper.content = this.content;
    upper.first = this.first;
    upper.pieces = undefined;
    parent.#replace(this, upper);
    if (this.strand) {
      upper.strand = this.strand;
      upper.at = this.at;
      this.at += numBlocks;
      this.strand.users++;
    }
    this.#sibling = undefined;
    this.numBlocks -= numBlocks;
    this.first += numBlocks * blockSize;
    this.key = hash(0, this.content, this.first);
    upper.add(this);
  }

  /** Puts a copy among the others, by when its first block was cached. */
  enter(copy: Copy): void {
    copy.stretch = this;
    let before: Copy | undefined;
    let after = this.copies;
    for (; after && cachedBefore(after, copy, 0); after = after.next) before = after;
    copy.next = after;
    if (before) before.next = copy;
    else this.copies = copy;
  }

  drop(copy: Copy): void {
    if (this.copies === copy) {
      this.copies = copy.next;
      return;
    }
    let before = this.copies!;
    while (before.next !== copy) before = before.next!;
    before.next = copy.next;
  }

  /** For how many blocks, at most `limit`, `copy` stands at the same place among the copies. */
  sameOrder(copy: Copy, limit: number): number {
    for (let j = 1; j < limit; j++) {
      for (let other = this.copies; other; other = other.next) {
        if (cachedBefore(other, copy, j) !== cachedBefore(other, copy, 0)) return j;
      }
    }
    return limit;
  }
}

/** Whether block j of a stretch was cached in `a` before it was in `b`. */
function cachedBefore(a: Copy, b: Copy, j: number): boolean {
  const difference = a.call + j * a.stride - (b.call + j * b.stride);
  return difference < 0 || (difference === 0 && a.position < b.position);
}
