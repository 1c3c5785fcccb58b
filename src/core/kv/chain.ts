/**
 * What is in the blocks of a request, without ever making the tokens: a cursor over its chain of blocks.
 *
 * A request's tokens are stretches of named contents, its prompt's segments and then its output. A
 * block that lies within one of them is (content, first token); so are all that follow up to the end of
 * the stretch, which is why sharing costs per stretch and not per block. A block across a seam is the
 * list of its pieces. What a request does not name is private to it, but it may find it again itself
 * after a preemption.
 *
 * Together with everything before it in the chain this is a block's identity (rule 25). With drafts made
 * by an eagle head a block covers the token after it as well (rule 44): `lookahead`.
 */

import type { PromptSegment } from '../engine.js';
import type { Request } from '../request/request.js';

export class Chain {
  /** The block under the cursor: its hash, and either (content, first) or the pieces of a seam. */
  key = 0;
  content = 0;
  first = 0;
  /** Blocks from the cursor on that continue the same content; 1 for a seam. */
  blocks = 0;
  /** Content, first token and length of each piece of a seam; `numPieces` 0: no seam. */
  readonly pieces: number[] = [];
  numPieces = 0;

  /** Where the cursor is. */
  #block = -1;
  /** The stretch under the cursor: tokens `#start … #end − 1` of the request. */
  #content = 0;
  #first = 0;
  #start = 0;
  #end = 0;
  #segment = 0;
  #prompt: readonly PromptSegment[] | undefined;
  #promptTokens = 0;
  #output: number | undefined;
  #private = 0;

  constructor(
    private readonly blockSize: number,
    private readonly lookahead: number,
  ) {}

  /** Puts the cursor before the first block of `request`. */
  begin({ spec, promptTokens, index }: Request): void {
    this.#prompt = spec.prompt;
    this.#promptTokens = promptTokens;
    this.#output = spec.outputContent;
    // Contents that are named are integers.
    this.#private = -0.5 - index;
    this.#segment = 0;
    this.#end = 0;
    this.#block = -1;
  }

  /** Moves on to block `block`, or stays there. */
  moveTo(block: number): void {
    if (block === this.#block) return;
    this.#block = block;
    const token = block * this.blockSize;
    while (token >= this.#end) this.#next();
    if (token + this.blockSize + this.lookahead > this.#end) {
      this.#seam(token);
      return;
    }
    this.numPieces = 0;
    this.content = this.#content;
    this.first = this.#first + token - this.#start;
    this.blocks = Math.floor((this.#end - token - this.lookahead) / this.blockSize);
    this.key = hash(0, this.content, this.first);
  }

  #seam(token: number): void {
    const stop = token + this.blockSize + this.lookahead;
    const { pieces } = this;
    let n = 0;
    let key = 0;
    for (let at = token; ; at = this.#start) {
      const first = this.#first + at - this.#start;
      pieces[n++] = this.#content;
      pieces[n++] = first;
      pieces[n++] = Math.min(this.#end, stop) - at;
      key = hash(key, this.#content, first);
      if (this.#end >= stop) break;
      this.#next();
    }
    this.numPieces = n;
    this.content = pieces[0]!;
    this.first = pieces[1]!;
    this.blocks = 1;
    this.key = key;
  }

  /** The next stretch: segments that continue one another are one, so equal tokens look equal. */
  #next(): void {
    const start = this.#end;
    const prompt = this.#prompt;
    this.#start = start;
    if (start >= this.#promptTokens || !prompt) {
      const named = start >= this.#promptTokens && this.#output !== undefined;
      this.#content = named ? this.#output! : this.#private;
      this.#first = named ? start - this.#promptTokens : start;
      this.#end = !named && this.#output !== undefined ? this.#promptTokens : Infinity;
      return;
    }
    if (this.#segment === prompt.length) {
      this.#content = this.#private;
      this.#first = start;
      this.#end = this.#promptTokens;
      return;
    }
    const { content, first = 0 } = prompt[this.#segment]!;
    let end = start;
    for (; this.#segment < prompt.length; this.#segment++) {
      const segment = prompt[this.#segment]!;
      if (segment.content !== content || (segment.first ?? 0) !== first + end - start) break;
      end += segment.length;
    }
    this.#content = content;
    this.#first = first;
    this.#end = Math.min(end, this.#promptTokens);
  }
}

/** Mixes one more piece into a 32-bit hash. */
export function hash(seed: number, content: number, first: number): number {
  const high = Math.trunc(content / 4_294_967_296);
  let mixed = Math.imul(seed ^ Math.trunc(content) ^ Math.imul(high, 0x9e3779b1), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 15) ^ first, 0xc2b2ae35);
  return mixed ^ (mixed >>> 13);
}
