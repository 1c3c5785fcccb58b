/**
 * Prompts of exact length, made of words: the text of a request whose load only says how many tokens
 * it has, and which stretches of them it shares with others. Equal stretches give equal text, so a
 * server's prefix cache finds what the load says.
 */

import type { RequestSpec } from '../core/engine.js';
import { type Tokenizer, textStream } from '../text/index.js';

/** Keeps the contents of different seeds apart. */
const SEED_STRIDE = 2 ** 24;

export interface PromptOptions {
  readonly seed: number;
  readonly index: number;
  readonly tokenizer: Tokenizer;
  /** Tokens the server puts before it, which count as the prompt's: the text is so much shorter. */
  readonly numSpecial: number;
}

export function promptOf(
  spec: RequestSpec,
  { seed, index, tokenizer, numSpecial }: PromptOptions,
): string {
  const segments = spec.prompt ?? [{ content: index + 1, length: spec.promptTokens }];
  // Something has to be asked.
  let left = Math.min(numSpecial, spec.promptTokens - 1);
  let text = '';
  for (const { content, first = 0, length } of segments) {
    const taken = Math.min(left, length);
    left -= taken;
    const stream = textStream(seed * SEED_STRIDE + content, tokenizer);
    const part = stream.text(first + taken, first + length);
    // A paragraph begins without a space; after another stretch it must not merge with its last word.
    text += text !== '' && /^\w/.test(part) ? ` ${part}` : part;
  }
  return text;
}
