/**
 * A prompt as the engine takes it: how many tokens, and which tokens are the same as in other prompts.
 *
 * Equal stretches of tokens get equal numbers, so that the prefix cache of a live server finds what a
 * real one would: a shared system message, the history of a conversation, and in it the model's own
 * earlier answers, whose blocks were filled while they were generated. Answers are named by their text,
 * everything else by its tokens, `CHUNK` at a time.
 */

import type { PromptSegment } from '../core/engine.js';
import type { RenderedPrompt } from './chat.js';
import { mix } from './mix.js';
import type { Tokenizer } from './tokenizer.js';

/** Tokens per segment: the usual KV block. Prompts that part inside a chunk share up to its start. */
const CHUNK = 16;
/** Stands for any special token: what it means is told by the texts around it. */
const SPECIAL = -1;

export interface PreparedPrompt {
  readonly numTokens: number;
  /** Identity of the tokens, in order; lengths add up to `numTokens`. */
  readonly segments: readonly PromptSegment[];
}

/** The same, flat: this is what crosses a thread boundary. */
export interface PackedPrompt {
  readonly contents: Float64Array;
  readonly lengths: Uint32Array;
}

export function preparePrompt(prompt: RenderedPrompt, tokenizer: Tokenizer): PreparedPrompt {
  return unpackPrompt(packPrompt(prompt, tokenizer));
}

export function unpackPrompt({ contents, lengths }: PackedPrompt): PreparedPrompt {
  const segments: PromptSegment[] = [];
  let numTokens = 0;
  lengths.forEach((length, i) => {
    segments.push({ content: contents[i]!, length });
    numTokens += length;
  });
  return { numTokens, segments };
}

export function packPrompt(prompt: RenderedPrompt, tokenizer: Tokenizer): PackedPrompt {
  const contents: number[] = [];
  const lengths: number[] = [];
  let chunk: number[] = [];
  const flush = () => {
    if (chunk.length > 0) add(hashTokens(chunk), chunk.length);
    chunk = [];
  };
  const add = (content: number, length: number) => {
    contents.push(content);
    lengths.push(length);
  };
  const push = (token: number) => {
    if (chunk.push(token) === CHUNK) flush();
  };
  for (const { text, special, answer } of prompt) {
    if (special) push(SPECIAL);
    if (text === '') continue;
    if (answer) {
      flush();
      add(contentOfAnswer(text), tokenizer.count(text));
    } else {
      for (const token of tokenizer.encode(text)) push(token);
    }
  }
  flush();
  return { contents: Float64Array.from(contents), lengths: Uint32Array.from(lengths) };
}

/** The identity of an answer's tokens: `RequestSpec.outputContent`, and the same in later prompts. */
export function contentOfAnswer(text: string): number {
  const hash = new Hash();
  for (let i = 0; i < text.length; i++) hash.add(text.charCodeAt(i));
  return hash.value();
}

function hashTokens(tokens: readonly number[]): number {
  const hash = new Hash();
  hash.add(-tokens.length);
  for (const token of tokens) hash.add(token);
  return hash.value();
}

/** 53 bits from two FNV-like sums with different multipliers, each mixed at the end. */
class Hash {
  #a = 0x811c9dc5;
  #b = 0x2f0b4a27;

  add(value: number): void {
    this.#a = Math.imul(this.#a ^ value, 0x01000193);
    this.#b = Math.imul(this.#b ^ value, 0x5bd1e995) ^ (this.#b >>> 15);
  }

  value(): number {
    return (mix(this.#a) & 0x1fffff) * 2 ** 32 + (mix(this.#b ^ this.#a) >>> 0);
  }
}
