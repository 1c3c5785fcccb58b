/**
 * The contents of a prefix cache: a tree of stretches for each pair of salt and adapter, because blocks
 * of different ones are never the same, and the records it is made of, which are used again.
 */

import type { Request } from '../request/request.js';
import type { Chain } from './chain.js';
import type { KvTiers } from './kv-tiers.js';
import { Copy, Stretch } from './stretch.js';
import type { UnusedCopies } from './unused-copies.js';

export class ContentTree {
  /** Distinct contents entered; decodes may owe some. */
  numContents = 0;
  /** Where the blocks of base model and no salt begin. */
  readonly root: Stretch;
  /** By salt and adapter, one of them given. */
  readonly #roots = new Map<string | undefined, Map<string | undefined, Stretch>>();
  readonly #spareStretches: Stretch[] = [];
  readonly #spareCopies: Copy[] = [];

  constructor(
    private readonly blockSize: number,
    private readonly unused: UnusedCopies,
    private readonly tiers: KvTiers | undefined,
  ) {
    this.root = this.#newRoot();
  }

  /** Where the blocks of `request` begin. */
  rootOf({ spec }: Request): Stretch {
    if (spec.cacheSalt === undefined && spec.lora === undefined) return this.root;
    let byLora = this.#roots.get(spec.cacheSalt);
    if (!byLora) {
      byLora = new Map();
      this.#roots.set(spec.cacheSalt, byLora);
    }
    let root = byLora.get(spec.lora);
    if (!root) {
      root = this.#newRoot();
      byLora.set(spec.lora, root);
    }
    return root;
  }

  #newRoot(): Stretch {
    const root = new Stretch();
    root.strand = this.tiers?.newRoot();
    return root;
  }

  /** A stretch of new contents: the blocks under the cursor, which follow `tip`. Nobody finds it until `tip` has it. */
  newStretch(chain: Chain, numBlocks: number, tip: Stretch): Stretch {
    const { key, content, first, pieces, numPieces } = chain;
    const stretch = this.#spareStretches.pop() ?? new Stretch();
    stretch.key = key;
    stretch.content = content;
    stretch.first = first;
    stretch.pieces = numPieces > 0 ? pieces.slice(0, numPieces) : undefined;
    stretch.numBlocks = numBlocks;
    if (this.tiers) nameBlocks(stretch, tip, chain);
    this.numContents += numBlocks;
    return stretch;
  }

  /** A copy in use, not yet of any stretch. */
  newCopy(call: number, stride: number, position: number): Copy {
    const copy = this.#spareCopies.pop() ?? new Copy();
    copy.users = 1;
    copy.above = undefined;
    copy.next = undefined;
    copy.call = call;
    copy.stride = stride;
    copy.position = position;
    return copy;
  }

  /** Cuts a stretch, and each of its copies, after `numBlocks` blocks; returns the first part. */
  split(lower: Stretch, numBlocks: number): Stretch {
    const upper = this.#spareStretches.pop() ?? new Stretch();
    lower.giveTo(upper, numBlocks, this.blockSize);
    for (let copy = lower.copies; copy; copy = copy.next) {
      const first = this.newCopy(copy.call, copy.stride, copy.position);
      first.users = copy.users;
      first.above = copy.above;
      copy.above = first;
      copy.call += numBlocks * copy.stride;
      upper.enter(first);
      if (copy.users === 0) this.unused.split(copy, first);
    }
    return upper;
  }

  /** Removes one copy of several; the contents stay. */
  dropCopy(copy: Copy): void {
    copy.stretch.drop(copy);
    this.#spareCopies.push(copy);
  }

  /** Removes a stretch with its last copy. */
  drop(stretch: Stretch, copy: Copy): void {
    stretch.leave();
    stretch.copies = undefined;
    stretch.strand?.release();
    stretch.strand = undefined;
    this.#spareCopies.push(copy);
    this.#spareStretches.push(stretch);
  }
}

/** Says on which strand the blocks of a new stretch are. */
function nameBlocks(stretch: Stretch, tip: Stretch, chain: Chain): void {
  const before = tip.strand!;
  const at = tip.at + tip.numBlocks;
  const goesOn = before.continues(at, chain);
  stretch.strand = goesOn ? before : before.turnOff(at, chain);
  stretch.at = goesOn ? at : 0;
  stretch.strand.users++;
}
