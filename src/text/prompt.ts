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
import { hashNumbers, hashText } from './hash.js';
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
    if (chunk.length > 0) add(hashNumbers(chunk), chunk.length);
    chunk = [];
  };
  const add = (content: number, length: number) => {
    contents.push(content);
    lengths.push(length);
  };
  const push = (token: number) => {
    if (chunk.push(token) === CHUNK) flush();
  };
  for (const { text, special, answer, tokens } of prompt) {
    if (special) push(SPECIAL);
    tokens?.forEach(push);
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

/** What a prompt says. Special tokens have no text. */
export const textOfPrompt = (prompt: RenderedPrompt, tokenizer: Tokenizer): string =>
  prompt.map(({ text, tokens }) => (tokens ? textOfTokens(tokens, tokenizer) : '') + text).join('');

export function textOfTokens(tokens: readonly number[], tokenizer: Tokenizer): string {
  const pieces = tokens.map((token) => Buffer.from(tokenizer.piece(token)));
  return Buffer.concat(pieces).toString('utf8');
}

/** The identity of an answer's tokens: `RequestSpec.outputContent`, and the same in later prompts. */
export const contentOfAnswer = (text: string): number => hashText(text);
