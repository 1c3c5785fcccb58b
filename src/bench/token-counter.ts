/**
 * How many tokens a text has, where the server does not say: a tokenizer if there is one, else an
 * estimate from its characters (two thirds of a token for each CJK character, a quarter for each other
 * one), which is off by 10–20 %.
 */

import type { TokenSource } from './request.js';

export interface TokenCounter {
  readonly source: Exclude<TokenSource, 'usage'>;
  count(text: string): number;
}

const CJK = /[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]|[\u{20000}-\u{2fa1f}]/gu;
const CHARS_PER_CJK_TOKEN = 1.5;
const CHARS_PER_TOKEN = 4;

/** At least 1, like the empty answer of a server that said it finished. */
export function estimateTokens(text: string): number {
  const numCjk = text.match(CJK)?.length ?? 0;
  const others = [...text].length - numCjk;
  return Math.max(1, Math.floor(numCjk / CHARS_PER_CJK_TOKEN + others / CHARS_PER_TOKEN));
}

export const estimator: TokenCounter = { source: 'estimate', count: estimateTokens };

export const tokenizerCounter = (tokenizer: { count(text: string): number }): TokenCounter => ({
  source: 'tokenizer',
  count: (text) => tokenizer.count(text),
});
