/**
 * What a fit makes small.
 *
 * A residual is ln(predicted / measured), weighed down smoothly when it is large, so that rows that describe something else do not
 * pull. Groups of rows (source × GPU × generation of an engine × metric) weigh by the square root of their size, and TTFT for less.
 * Priors keep each constant near what operator tables say, and links the terms of two generations of one code near each other.
 */

import { generationOfCase } from './case.js';
import type { Model } from './parameters.js';
import type { Residual } from './residuals.js';

const SCALE = 0.12;
/** Pseudo-Huber: a square near zero, straight far out. And how much less than a square it pulls. */
const cost = (log: number): number => SCALE ** 2 * (Math.sqrt(1 + (log / SCALE) ** 2) - 1);
export const pull = (log: number): number => 1 / Math.sqrt(1 + (log / SCALE) ** 2);

/** Rows say this much against priors: a row of a group of one counts as `ROW_WEIGHT` measurements with σ = 10 %. */
const ROW_WEIGHT = 3;
/** TTFT depends on how requests meet each other. */
const TTFT_WEIGHT = 0.6;

/** Shared within groups by the square root of their size. */
export function weightsOf(residuals: readonly Residual[]): number[] {
  const sizes = new Map<string, number>();
  for (const r of residuals) sizes.set(groupOf(r), (sizes.get(groupOf(r)) ?? 0) + 1);
  return residuals.map((r) => {
    const metric = r.comparison.metric === 'ttft' ? TTFT_WEIGHT : 1;
    return (ROW_WEIGHT * metric) / 0.1 ** 2 / Math.sqrt(sizes.get(groupOf(r))!);
  });
}

const groupOf = (r: Residual): string =>
  [
    r.case.source,
    r.case.gpu.name,
    generationOfCase(r.case),
    r.case.model.moe ? 'moe' : 'dense',
    r.comparison.metric,
  ].join('|');

/** How far constants are from their priors, in their logarithms. */
export const fromPriors = ({ parameters }: Model, values: readonly number[]): number[] =>
  parameters.map((p, i) => Math.log(values[i]! / p.prior));

/** What a fit makes small: pseudo-Huber losses of the rows, and squares of how far constants are from their priors, and linked ones from each other. */
export function objective(
  residuals: readonly Residual[],
  model: Model,
  values: readonly number[],
): number {
  const weights = weightsOf(residuals);
  const rows = residuals.reduce((sum, r, i) => sum + weights[i]! * cost(r.log), 0);
  const far = fromPriors(model, values);
  const priors = model.parameters.reduce((sum, p, i) => sum + (far[i]! / p.sigma) ** 2 / 2, 0);
  const links = model.links.reduce(
    (sum, { between: [a, b], sigma }) => sum + ((far[a]! - far[b]!) / sigma) ** 2 / 2,
    0,
  );
  return rows + priors + links;
}
