/**
 * Log probabilities of synthesised tokens: plausible, sorted, and a function of seed and position. A
 * simulated model has none; clients that ask get the right shape, one entry per token.
 */

import { hashNumbers, type OutputText } from '../text/index.js';

export interface TokenLogprob {
  readonly token: string;
  readonly logprob: number;
  readonly top: readonly { readonly token: string; readonly logprob: number }[];
}

/** The token at `i` of an answer, and the `numTop` likeliest ones in its place; it is the first. */
export function tokenLogprob(
  output: OutputText,
  seed: number,
  i: number,
  numTop: number,
): TokenLogprob {
  const token = output.piece(i);
  const chance = (salt: number) => (hashNumbers([seed | 0, i, salt]) % 2 ** 20) / 2 ** 20;
  // Most tokens are nearly certain; each alternative has a part of what the ones before it left.
  const probability = 1 - 0.6 * chance(0) ** 3;
  let left = 1 - probability;
  const top = [{ token, logprob: rounded(probability) }];
  for (let k = 1; k <= numTop * 4 && top.length < numTop; k++) {
    const alternative = output.alternative(i, k);
    if (top.some((other) => other.token === alternative)) continue;
    const share = Math.min(left * (0.4 + 0.2 * chance(k)), Math.exp(top.at(-1)!.logprob));
    top.push({ token: alternative, logprob: rounded(share) });
    left -= share;
  }
  return { token, logprob: rounded(probability), top: top.slice(0, numTop) };
}

/** One entry of a chat choice's `logprobs.content`. */
export function chatLogprob({ token, logprob, top }: TokenLogprob): object {
  const entry = (t: { readonly token: string; readonly logprob: number }) => ({
    token: t.token,
    logprob: t.logprob,
    bytes: [...Buffer.from(t.token)],
  });
  return { ...entry({ token, logprob }), top_logprobs: top.map(entry) };
}

/** The four lists of a completion choice's `logprobs`; `offset` is where the first token stands. */
export function completionLogprobs(tokens: readonly TokenLogprob[], offset: number): object {
  let at = offset;
  return {
    tokens: tokens.map(({ token }) => token),
    token_logprobs: tokens.map(({ logprob }) => logprob),
    top_logprobs: tokens.map(({ top }) =>
      Object.fromEntries(top.map(({ token, logprob }) => [token, logprob])),
    ),
    text_offset: tokens.map(({ token }) => {
      const here = at;
      at += token.length;
      return here;
    }),
  };
}

const rounded = (probability: number): number =>
  Math.round(Math.log(Math.max(probability, 1e-9)) * 1e6) / 1e6;
