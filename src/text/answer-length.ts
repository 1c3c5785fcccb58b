/** How long an answer is when the request leaves it open: log-normal, mean about 200 tokens. */

import { Rng } from '../core/rng.js';

const ANSWER_LENGTH = { median: 135, sigma: 0.9 } as const;

/** Output tokens, at least 1; the same seed gives the same length. */
export function drawAnswerLength(seed: number): number {
  const normal = new Rng(seed).stream('output-length').normal();
  return Math.max(1, Math.round(ANSWER_LENGTH.median * Math.exp(ANSWER_LENGTH.sigma * normal)));
}
