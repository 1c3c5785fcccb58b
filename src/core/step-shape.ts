/**
 * What a step contains, counted: builders of `StepShape` for the scheduler, and for whoever asks what a
 * batch would cost. Everything in a shape adds up, request by request or many alike at once.
 */

import { DOUBLE_ZERO } from './double.js';
import type { StepShape } from './engine.js';

export function emptyShape(): StepShape {
  return {
    numDecodes: 0,
    decodeContext: DOUBLE_ZERO,
    decodeWindowContext: DOUBLE_ZERO,
    prefillTokens: 0,
    numPrefills: 0,
    prefillPairs: DOUBLE_ZERO,
    prefillWindowPairs: DOUBLE_ZERO,
    prefillHistory: DOUBLE_ZERO,
    numSampled: 0,
    draftTokens: 0,
    otherTokens: undefined,
    loraTokens: 0,
    numAdapters: 0,
  };
}

export function clearShape(shape: StepShape): void {
  shape.numDecodes = 0;
  shape.decodeContext = 0;
  shape.decodeWindowContext = 0;
  shape.prefillTokens = 0;
  shape.numPrefills = 0;
  shape.prefillPairs = 0;
  shape.prefillWindowPairs = 0;
  shape.prefillHistory = 0;
  shape.numSampled = 0;
  shape.draftTokens = 0;
  shape.loraTokens = 0;
  shape.numAdapters = 0;
}

/** Adds to a shape a decode with drafts: `chunk` tokens after `computed` ones. */
export function addDrafted(
  shape: StepShape,
  chunk: number,
  computed: number,
  window: number,
): void {
  const context = computed + chunk;
  shape.numDecodes++;
  shape.draftTokens! += chunk - 1;
  shape.decodeContext += context;
  shape.decodeWindowContext += Math.min(context, window);
}

/** Adds to a shape a chunk of a prompt of which `history` tokens are computed. */
export function addPrefill(shape: StepShape, chunk: number, history: number, window: number): void {
  shape.numPrefills++;
  shape.prefillTokens += chunk;
  shape.prefillHistory += history;
  const all = pairsOf(chunk, history);
  shape.prefillPairs += all;
  shape.prefillWindowPairs += window === Infinity ? all : windowPairs(chunk, history, window);
}

/** Pairs of a token of a chunk and a token it attends to. */
export const pairsOf = (chunk: number, history: number): number =>
  chunk * (history + (chunk + 1) / 2);

/** The same where each token attends to at most `window` tokens. */
function windowPairs(chunk: number, history: number, window: number): number {
  const growing = Math.max(0, Math.min(chunk, window - history));
  return pairsOf(growing, history) + (chunk - growing) * (chunk > growing ? window : 0);
}

/** Requests alike: prompts of which a chunk is computed, and decodes with equal context. */
export interface BatchOf {
  readonly numPrefills?: number;
  readonly chunk?: number;
  readonly history?: number;
  readonly numDecodes?: number;
  /** Tokens each decode attends to, its newest included. */
  readonly context?: number;
}

/** The shape of a step with these requests, all of which get a token. */
export function shapeOfBatch(terms: readonly BatchOf[], window: number): StepShape {
  const shape = emptyShape();
  for (const term of terms) {
    const { numPrefills = 0, chunk = 0, history = 0, numDecodes = 0, context = 0 } = term;
    shape.numPrefills += numPrefills;
    shape.prefillTokens += numPrefills * chunk;
    shape.prefillHistory += numPrefills * history;
    shape.prefillPairs += numPrefills * pairsOf(chunk, history);
    shape.prefillWindowPairs +=
      numPrefills *
      (window === Infinity ? pairsOf(chunk, history) : windowPairs(chunk, history, window));
    shape.numDecodes += numDecodes;
    shape.decodeContext += numDecodes * context;
    shape.decodeWindowContext += numDecodes * Math.min(context, window);
    shape.numSampled += numPrefills + numDecodes;
  }
  return shape;
}
