/**
 * The name of a block wherever it is: a strand, and a position on it.
 *
 * A strand is as many blocks as follow one another in one content, from the place on where they turned
 * off from the strand before. So a chain of blocks is a path of strands, equal chains are the same path,
 * and a range of positions names many blocks at once. The prefix tree splits and merges its stretches as
 * it likes; strands are never cut.
 *
 * A strand lives as long as the GPU or a tier holds a block of it, or of one that turned off from it.
 */

import { invariant } from '../errors.js';
import type { Chain } from './chain.js';
import { hash } from './chain.js';
import type { Piece } from './tier.js';

export class Strand {
  /** Stretches on the GPU, pieces in tiers, and strands that turn off from it. */
  users = 0;
  /** By tier: what it holds of this strand, in order of position. */
  readonly held: (Piece[] | undefined)[] = [];
  #next: Strand | undefined = undefined;
  #byKey: Map<number, Strand> | undefined = undefined;

  private constructor(
    private readonly blockSize: number,
    private readonly parent: Strand | undefined,
    /** Where on the parent it begins, and the identity of its first block: see `Chain`. */
    private readonly turnsOffAt: number,
    private readonly key: number,
    private readonly content: number,
    private readonly first: number,
    private readonly pieces: readonly number[] | undefined,
  ) {}

  /** Where all chains of one adapter and salt begin. It has no blocks of its own, and stays. */
  static root(blockSize: number): Strand {
    const root = new Strand(blockSize, undefined, 0, 0, Number.NaN, 0, undefined);
    root.users = 1;
    return root;
  }

  /** Whether the block under the cursor, which follows position `at − 1`, is on this strand as well. */
  continues(at: number, chain: Chain): boolean {
    return (
      chain.numPieces === 0 &&
      this.pieces === undefined &&
      this.content === chain.content &&
      this.first + at * this.blockSize === chain.first
    );
  }

  /** The strand that turns off before position `at` with the block under the cursor. */
  find(at: number, chain: Chain): Strand | undefined {
    const key = hash(chain.key, at, 0);
    let child = this.#byKey?.get(key);
    while (child && !child.#begins(at, chain)) child = child.#next;
    return child;
  }

  /** The same; it begins to exist if it did not. */
  turnOff(at: number, chain: Chain): Strand {
    const found = this.find(at, chain);
    if (found) return found;
    const { content, first, numPieces, pieces } = chain;
    const key = hash(chain.key, at, 0);
    const seam = numPieces > 0 ? pieces.slice(0, numPieces) : undefined;
    const child = new Strand(this.blockSize, this, at, key, content, first, seam);
    this.#byKey ??= new Map();
    child.#next = this.#byKey.get(key);
    this.#byKey.set(key, child);
    this.users++;
    return child;
  }

  #begins(at: number, { content, first, numPieces, pieces }: Chain): boolean {
    if (this.turnsOffAt !== at || this.content !== content || this.first !== first) return false;
    const own = this.pieces;
    if (!own) return numPieces === 0;
    return own.length === numPieces && own.every((piece, i) => piece === pieces[i]);
  }

  /** One user less; with the last one it is forgotten. */
  release(): void {
    invariant(this.users > 0, 'a strand is released by its users only');
    if (--this.users > 0 || !this.parent) return;
    this.parent.#forget(this);
    this.parent.release();
  }

  #forget(child: Strand): void {
    const byKey = this.#byKey!;
    let before = byKey.get(child.key)!;
    if (before === child) {
      if (child.#next) byKey.set(child.key, child.#next);
      else byKey.delete(child.key);
      return;
    }
    while (before.#next !== child) before = before.#next!;
    before.#next = child.#next;
  }
}
