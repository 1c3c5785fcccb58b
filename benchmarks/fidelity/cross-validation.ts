/**
 * Leaving out: what the constants would have been without one GPU, one model family or one source, and
 * how well those predict what was left out. The honest number: nothing predicted was fitted on.
 */

import type { Case } from './case.js';
import { type Linearised, type Residual, residualsOf, step } from './fit.js';
import { groupsOf } from './mapping.js';
import type { Model } from './parameters.js';

export type Axis = 'gpu' | 'family' | 'source';

export interface LeftOut extends Residual {
  readonly axis: Axis;
  readonly left: string;
}

/**
 * Refits from the linearisation at the full fit: by how much one step on the remaining rows differs from one step
 * on all of them, with priors at what operator tables and reading of code say. What is left out is simulated anew.
 */
export function leaveOneOut(
  l: Linearised,
  cases: readonly Case[],
  model: Model,
  axis: Axis,
): LeftOut[] {
  const names = [...new Set(cases.map((c) => groupsOf(c)[axis]))].sort();
  return names.flatMap((left) => {
    const kept = (r: Residual): boolean => groupsOf(r.case)[axis] !== left;
    const values = difference(
      step(l, model, kept),
      step(l, model, () => true),
      l.values,
    );
    const held = cases.filter((c) => groupsOf(c)[axis] === left);
    return residualsOf(held, model, values).map((r) => ({ ...r, axis, left }));
  });
}

/** The constants as they stand, moved by what leaving out changes. */
const difference = (
  without: readonly number[],
  all: readonly number[],
  values: readonly number[],
): number[] => values.map((v, i) => (v * without[i]!) / all[i]!);
