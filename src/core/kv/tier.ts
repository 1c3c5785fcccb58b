/**
 * One place for KV below the GPU: contents in the order in which they will be forgotten.
 *
 * What comes in or is asked for goes to the end of the order, a chain from its last block to its first,
 * so that tails are forgotten before what they follow. Kept are not blocks but pieces: positions
 * `from … to − 1` of a strand that stand next to each other in the order, the last one first to go.
 */

import type { Strand } from './strand.js';

export class Piece {
  /** Neighbours in the order of forgetting. */
  older: Piece | undefined = undefined;
  newer: Piece | undefined = undefined;

  constructor(
    readonly strand: Strand,
    public from: number,
    public to: number,
  ) {}
}

export interface TierOptions {
  /** Which of the tiers it is, from fast to slow. */
  readonly index: number;
  readonly capacityBlocks: number;
  /** Where what is forgotten goes. */
  readonly below: Tier | undefined;
}

export class Tier {
  numBlocks = 0;
  /** Blocks that came in, and blocks that had to make room. */
  numWritten = 0;
  numEvicted = 0;
  #oldest: Piece | undefined;
  #newest: Piece | undefined;

  constructor(private readonly options: TierOptions) {}

  /** What it holds, first to be forgotten first. */
  *[Symbol.iterator](): Iterator<Piece> {
    for (let piece = this.#oldest; piece; piece = piece.newer) yield piece;
  }

  /** How many blocks from position `at` on it holds. */
  holds(strand: Strand, at: number): number {
    const piece = this.#lastBefore(strand, at + 1);
    if (!piece || piece.to <= at) return 0;
    // What follows may have come at another time.
    let { to } = piece;
    const pieces = strand.held[this.options.index]!;
    for (let i = pieces.indexOf(piece) + 1; pieces[i]?.from === to; i++) to = pieces[i]!.to;
    return to - at;
  }

  /** Positions `from … to − 1` come in, or are asked for: what it has of them is the newest again. */
  store(strand: Strand, from: number, to: number): void {
    for (let at = to; at > from; ) {
      const piece = this.#lastBefore(strand, at);
      const has = piece !== undefined && piece.to >= at;
      const low = Math.max(from, has ? piece.from : (piece?.to ?? from));
      if (has) this.#renew(piece, low, at);
      else this.#insert(strand, low, at);
      at = low;
    }
  }

  #insert(strand: Strand, from: number, to: number): void {
    const { capacityBlocks, below } = this.options;
    this.numWritten += to - from;
    const over = Math.max(0, this.numBlocks + to - from - capacityBlocks);
    const evicted = Math.min(over, this.numBlocks);
    this.#evict(evicted);
    // More than it can hold at all: what comes first goes first.
    const through = over - evicted;
    this.numEvicted += through;
    if (through > 0) below?.store(strand, to - through, to);
    if (to - through > from) this.#append(strand, from, to - through);
  }

  #evict(blocks: number): void {
    this.numEvicted += blocks;
    for (let left = blocks; left > 0; ) {
      const piece = this.#oldest!;
      const { strand, to } = piece;
      const low = Math.max(piece.from, to - left);
      left -= to - low;
      this.numBlocks -= to - low;
      piece.to = low;
      this.options.below?.store(strand, low, to);
      if (low === piece.from) this.#drop(piece);
    }
  }

  /** Positions `low … high − 1` of a piece are the newest again. */
  #renew(piece: Piece, low: number, high: number): void {
    const { strand, from, to } = piece;
    if (piece === this.#newest && low === from && high === to) return;
    strand.users++; // Until it is back.
    if (high < to) {
      const tail = new Piece(strand, high, to);
      this.#linkBefore(piece, tail);
      this.#enter(tail);
    }
    piece.to = low;
    this.numBlocks -= high - low;
    if (low === from) this.#drop(piece);
    this.#append(strand, low, high);
    strand.release();
  }

  #append(strand: Strand, from: number, to: number): void {
    this.numBlocks += to - from;
    const newest = this.#newest;
    if (newest && newest.strand === strand && newest.from === to) {
      newest.from = from;
      return;
    }
    const piece = new Piece(strand, from, to);
    piece.older = newest;
    if (newest) newest.newer = piece;
    else this.#oldest = piece;
    this.#newest = piece;
    this.#enter(piece);
  }

  /** Among the pieces of its strand. */
  #enter(piece: Piece): void {
    const { held } = piece.strand;
    let pieces = held[this.options.index];
    if (!pieces) {
      pieces = [];
      held[this.options.index] = pieces;
    }
    let i = pieces.length;
    while (i > 0 && pieces[i - 1]!.from >= piece.from) i--;
    pieces.splice(i, 0, piece);
    piece.strand.users++;
  }

  #drop(piece: Piece): void {
    const { older, newer, strand } = piece;
    if (older) older.newer = newer;
    else this.#oldest = newer;
    if (newer) newer.older = older;
    else this.#newest = older;
    const pieces = strand.held[this.options.index]!;
    pieces.splice(pieces.indexOf(piece), 1);
    strand.release();
  }

  #linkBefore(piece: Piece, older: Piece): void {
    older.older = piece.older;
    older.newer = piece;
    if (piece.older) piece.older.newer = older;
    else this.#oldest = older;
    piece.older = older;
  }

  /** The last piece that begins before position `at`. */
  #lastBefore(strand: Strand, at: number): Piece | undefined {
    const pieces = strand.held[this.options.index];
    if (!pieces) return undefined;
    let i = pieces.length - 1;
    while (i >= 0 && pieces[i]!.from >= at) i--;
    return pieces[i];
  }
}
