/**
 * What is in a KV block: the token ids of every request, and the identity of each full block.
 *
 * A block's identity is its tokens and all blocks before it (rule 25), and for eagle the next token
 * as well (rule 44). Identities are interned: the same chain of tokens is the same number, whoever
 * has it. Outputs are known beforehand here, so the whole chain of a request is numbered at once;
 * how much of it the scheduler may use depends on the tokens known so far.
 */

import type { GoldenRequest, Pair } from '../../parity/golden.js';

export type ContentId = number;

/** Token `j` of the sequence named `seed`. */
export const tokenId = (seed: number, j: number): number =>
  3 + ((seed * 1_000_003 + j * 7919) % 31_981);

/** All tokens a request can ever have: its prompt, then its outputs. */
export function tokensOf(request: GoldenRequest): number[] {
  const tokens: number[] = [];
  for (const [seed, length, first = 0] of request.prompt) {
    for (let i = 0; i < length; i++) tokens.push(tokenId(seed, first + i));
  }
  for (let i = 0; i < request.max_tokens; i++) tokens.push(tokenId(request.out, i));
  return tokens;
}

export const promptLength = (request: GoldenRequest): number =>
  request.prompt.reduce((sum, [, length]) => sum + length, 0);

/** Numbers block contents. Requests must be entered in order of id, so that owners are the lowest. */
export class Contents {
  readonly #ids = new Map<string, ContentId>();
  /** For every content `[owner, i]`: it is block i of the lowest id that has it. */
  readonly owners: Pair[] = [];

  constructor(
    private readonly blockSize: number,
    private readonly hashLookahead: number,
  ) {}

  /** The contents of the request's blocks, in order; only whole blocks have one (rule 25). */
  chain(id: number, request: GoldenRequest): ContentId[] {
    const tokens = tokensOf(request);
    const chain: ContentId[] = [];
    // What comes before the first block: the adapter its KV was computed with.
    let before: ContentId | string = request.lora ?? -1;
    for (let i = 0; this.tokensFor(i) <= tokens.length; i++) {
      const block = tokens.slice(i * this.blockSize, this.tokensFor(i));
      const key = `${before}|${block.join(',')}`;
      let content = this.#ids.get(key);
      if (content === undefined) {
        content = this.owners.length;
        this.#ids.set(key, content);
        this.owners.push([id, i]);
      }
      chain.push(content);
      before = content;
    }
    return chain;
  }

  /** Tokens that must be known before block `i` has an identity (rules 25, 44). */
  tokensFor(i: number): number {
    return (i + 1) * this.blockSize + this.hashLookahead;
  }
}
