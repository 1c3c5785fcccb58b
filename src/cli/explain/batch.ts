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
import { type BatchOf, shapeOfBatch } from '../../core/step-shape.js';

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
  return shapeOfBatch(terms.map(parseTerm), window);
}

function parseTerm(term: string): BatchOf {
  const match = TERM.exec(term);
  if (!match) throw new ConfigError(FLAG, FORM, term);
  const [, times, chunk, history, decodes, context] = match;
  if (chunk === undefined) {
    return { numDecodes: countOf(term, decodes!), context: countOf(term, context!) };
  }
  return {
    numPrefills: countOf(term, times ?? '1'),
    chunk: countOf(term, chunk),
    history: Number(history ?? 0),
  };
}

function countOf(term: string, digits: string): number {
  const value = Number(digits);
  if (value >= 1 && value <= 1e9) return value;
  throw new ConfigError(FLAG, 'counts and lengths from 1 to 1e9', term);
}
