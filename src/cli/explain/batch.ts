/**
 * The batch of one step, as text: `prefill=512 decode=64@2048`.
 *
 *   prefill=512          one prompt of 512 tokens
 *   prefill=2x512@1024   two chunks of 512 tokens, each after 1,024 tokens computed earlier
 *   decode=64@2048       64 decodes, each attending to 2,048 tokens
 *
 * Terms add up, so lengths may be mixed: `decode=32@512 decode=32@4096`.
 */

import type { StepShape } from '../../core/engine.js';
import { ConfigError } from '../../core/errors.js';

const FLAG = '--batch';
const FORM =
  'terms like prefill=512, prefill=2x512@1024 (two chunks after 1024 tokens), decode=64@2048';
const TERM = /^(?:prefill=(?:(\d+)x)?(\d+)(?:@(\d+))?|decode=(\d+)@(\d+))$/;

/**
 * @param window tokens that attention layers with a window look back; `Infinity`: there are none
 * @throws {ConfigError} saying the form
 */
export function parseBatch(text: string | undefined, window: number): StepShape {
  const terms = (text ?? '').split(/[\s,+]+/).filter((term) => term !== '');
  if (terms.length === 0) throw new ConfigError(FLAG, FORM, text);
  const shape: StepShape = {
    numDecodes: 0,
    decodeContext: 0,
    decodeWindowContext: 0,
    prefillTokens: 0,
    numPrefills: 0,
    prefillPairs: 0,
    prefillWindowPairs: 0,
    prefillHistory: 0,
    numSampled: 0,
  };
  for (const term of terms) addTerm(shape, term, window);
  shape.numSampled = shape.numDecodes + shape.numPrefills;
  return shape;
}

function addTerm(shape: StepShape, term: string, window: number): void {
  const match = TERM.exec(term);
  if (!match) throw new ConfigError(FLAG, FORM, term);
  const [, times, chunk, history, decodes, context] = match;
  if (chunk !== undefined) {
    const count = countOf(term, times ?? '1');
    addPrefills(shape, count, countOf(term, chunk), Number(history ?? 0), window);
  } else {
    const count = countOf(term, decodes!);
    const tokens = countOf(term, context!);
    shape.numDecodes += count;
    shape.decodeContext += count * tokens;
    shape.decodeWindowContext += count * Math.min(tokens, window);
  }
}

function addPrefills(
  shape: StepShape,
  count: number,
  chunk: number,
  history: number,
  window: number,
): void {
  const growing = Math.min(chunk, Math.max(0, window - history));
  shape.numPrefills += count;
  shape.prefillTokens += count * chunk;
  shape.prefillHistory += count * history;
  shape.prefillPairs += count * pairs(chunk, history);
  shape.prefillWindowPairs +=
    count * (pairs(growing, history) + (chunk > growing ? (chunk - growing) * window : 0));
}

/** Pairs of a token of a chunk and a token it attends to. */
const pairs = (chunk: number, history: number): number => chunk * (history + (chunk + 1) / 2);

function countOf(term: string, digits: string): number {
  const value = Number(digits);
  if (value >= 1 && value <= 1e9) return value;
  throw new ConfigError(FLAG, 'counts and lengths from 1 to 1e9', term);
}
