/**
 * Leaving out: what the constants would have been without one GPU, one model family or one source, and
 * how well those predict what was left out. The honest number: nothing predicted was fitted on.
 */

import type { Case } from './case.js';
import { descend, type Linearised } from './fit.js';
import { groupsOf } from './mapping.js';
import type { Model } from './parameters.js';
import { type Residual, residualsOf } from './residuals.js';

export type Axis = 'gpu' | 'family' | 'source';

export interface LeftOut extends Residual {
  readonly axis: Axis;
  readonly left: string;
}

/** Where the full fit ended, but for parameters that nothing kept depends on: of those only the priors are left. */
export function forgetting(l: Linearised, kept: readonly Case[], model: Model): number[] {
  const rows = kept.flatMap((c) => c.comparisons.flatMap((x) => l.jacobian.get(x) ?? []));
  return model.parameters.map((p, k) =>
    rows.some((row) => row[k] !== 0) ? l.values[k]! : p.prior,
  );
}

/**
 * Refits without each group: from the full fit downhill, on simulations of what is kept alone, until a step gains nothing. What is
 * left out is then simulated anew, all of it.
 *
 * @param fitted the cases a fit uses; `cases` are those it is tested on.
 */
export function leaveOneOut(
  l: Linearised,
  fitted: readonly Case[],
  cases: readonly Case[],
  model: Model,
  axis: Axis,
  progress: (left: string) => void,
): LeftOut[] {
  const names = [...new Set(cases.map((c) => groupsOf(c)[axis]))].sort();
  return names.flatMap((left) => {
    progress(left);
    const out = (c: Case): boolean => groupsOf(c)[axis] === left;
    const kept = fitted.filter((c) => !out(c));
    const { values } = descend({ ...l, values: forgetting(l, kept, model) }, kept, model);
    return residualsOf(cases.filter(out), model, values).map((r) => ({ ...r, axis, left }));
  });
}
