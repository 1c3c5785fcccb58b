/**
 * Finding constants: Gauss–Newton on logarithmic residuals of whole simulations.
 *
 * A residual is ln(predicted / measured), weighed down smoothly when it is large (scale 0.12), so that
 * rows that describe something else do not pull. Groups of rows (source × GPU × engine × metric) weigh
 * by the square root of their size, TTFT a third. Priors keep each constant near what operator tables say.
 * One Jacobian serves every cross-validation: leaving rows out is a smaller sum.
 */

import type { Case, Comparison } from './case.js';
import type { Model } from './parameters.js';
import { replay } from './replay.js';

export interface Residual {
  readonly case: Case;
  readonly comparison: Comparison;
  readonly predicted: number;
  /** ln(predicted / measured). */
  readonly log: number;
}

/** Simulates `cases`; those that are refused yield nothing. */
export function residualsOf(
  cases: readonly Case[],
  model: Model,
  values: readonly number[],
): Residual[] {
  const cache = new Map<string, ReturnType<Model['perfData']>>();
  return cases.flatMap((c) => {
    const data = cache.get(c.engine) ?? model.perfData(c.engine, values);
    cache.set(c.engine, data);
    const predictions = replay(c, data);
    if ('refused' in predictions) return [];
    return c.comparisons.flatMap((comparison): Residual[] => {
      const predicted = predictions[comparison.measure];
      if (predicted === undefined || !(predicted > 0)) return [];
      return [{ case: c, comparison, predicted, log: Math.log(predicted / comparison.measured) }];
    });
  });
}

export interface Linearised {
  readonly values: readonly number[];
  readonly residuals: readonly Residual[];
  /** Per residual: derivative with respect to the logarithm of each parameter. */
  readonly jacobian: readonly Float64Array[];
}

const STEP = 0.04;

/** Residuals at `values` and their derivatives; `progress` hears of every parameter. */
export function linearise(
  cases: readonly Case[],
  model: Model,
  values: readonly number[],
  progress: (done: number) => void,
): Linearised {
  const residuals = residualsOf(cases, model, values);
  const byComparison = new Map(residuals.map((r, i) => [r.comparison, i]));
  const jacobian = residuals.map(() => new Float64Array(model.parameters.length));
  model.parameters.forEach((p, k) => {
    if (p.frozen) return;
    const touched = cases.filter((c) => concerns(p.name, c, model));
    const down = values[k]! * Math.exp(STEP) > p.max;
    const moved = values.map((v, i) => (i === k ? v * Math.exp(down ? -STEP : STEP) : v));
    for (const r of residualsOf(touched, model, moved)) {
      const i = byComparison.get(r.comparison);
      if (i !== undefined) jacobian[i]![k] = (r.log - residuals[i]!.log) / (down ? -STEP : STEP);
    }
    progress(k + 1);
  });
  return { values, residuals, jacobian };
}

/** Whether a parameter can change a case at all: spares most of the simulations of a Jacobian. */
function concerns(name: string, c: Case, model: Model): boolean {
  const [kind, key] = name.split('.', 2);
  if (kind === 'engine') {
    const profile = model.perfData(
      c.engine,
      model.parameters.map((p) => p.start),
    ).engine;
    return (
      name.startsWith(`engine.${profile.name}@${profile.since}.`) &&
      (!name.includes('smallExpert') || c.model.moe !== undefined)
    );
  }
  if (key?.startsWith('moe')) return c.model.moe !== undefined;
  if (key?.includes('educe') || key?.startsWith('link') || key?.startsWith('nccl'))
    return (c.options.tensorParallelSize ?? 1) > 1 || (c.options.dataParallelSize ?? 1) > 1;
  if (key?.endsWith('8') || key?.endsWith('4') || key === 'quantSeconds')
    return c.precision !== '16-bit';
  return true;
}

/**
 * One Gauss–Newton step from where `l` stands, on the residuals that `keep` keeps.
 *
 * @returns the moved values, each at most a factor of e away.
 */
export function step(l: Linearised, model: Model, keep: (r: Residual) => boolean): number[] {
  const n = model.parameters.length;
  const a = Array.from({ length: n }, () => new Float64Array(n));
  const b = new Float64Array(n);
  const weights = weightsOf(l.residuals, keep);
  l.residuals.forEach((r, i) => {
    const w = weights[i]!;
    if (w === 0) return;
    const row = l.jacobian[i]!;
    for (let j = 0; j < n; j++) {
      if (row[j] === 0) continue;
      b[j]! -= w * row[j]! * r.log;
      for (let k = 0; k < n; k++) a[j]![k]! += w * row[j]! * row[k]!;
    }
  });
  model.parameters.forEach((p, j) => {
    const prior = 1 / p.sigma ** 2;
    a[j]![j]! += prior;
    b[j]! -= prior * Math.log(l.values[j]! / p.prior);
  });
  const delta = solve(a, b);
  return model.parameters.map((p, j) => {
    if (p.frozen) return l.values[j]!;
    return Math.min(p.max, l.values[j]! * Math.exp(Math.max(-1, Math.min(1, delta[j]!))));
  });
}

const SCALE = 0.12;

/** Pseudo-Huber weights over (σ = 10 %), shared within groups by the square root of their size. */
export function weightsOf(
  residuals: readonly Residual[],
  keep: (r: Residual) => boolean,
): number[] {
  const sizes = new Map<string, number>();
  for (const r of residuals) if (keep(r)) sizes.set(groupOf(r), (sizes.get(groupOf(r)) ?? 0) + 1);
  return residuals.map((r) => {
    if (!keep(r)) return 0;
    const group = 1 / Math.sqrt(sizes.get(groupOf(r))!);
    const metric = r.comparison.metric === 'ttft' ? 0.35 : 1;
    return (3 * metric * group) / 0.1 ** 2 / Math.sqrt(1 + (r.log / SCALE) ** 2);
  });
}

const groupOf = (r: Residual): string =>
  [
    r.case.source,
    r.case.gpu.name,
    r.case.engine,
    r.case.model.moe ? 'moe' : 'dense',
    r.comparison.metric,
  ].join('|');

/** Weighted loss, for comparing fits. */
export function loss(
  residuals: readonly Residual[],
  keep: (r: Residual) => boolean = () => true,
): number {
  const sizes = new Map<string, number>();
  for (const r of residuals) if (keep(r)) sizes.set(groupOf(r), (sizes.get(groupOf(r)) ?? 0) + 1);
  let sum = 0;
  for (const r of residuals) {
    if (!keep(r)) continue;
    const metric = r.comparison.metric === 'ttft' ? 0.35 : 1;
    sum += (metric / Math.sqrt(sizes.get(groupOf(r))!)) * (Math.sqrt(1 + (r.log / SCALE) ** 2) - 1);
  }
  return sum;
}

/** Gaussian elimination with partial pivoting. */
function solve(a: Float64Array[], b: Float64Array): Float64Array {
  const n = b.length;
  for (let i = 0; i < n; i++) {
    let pivot = i;
    for (let r = i + 1; r < n; r++) if (Math.abs(a[r]![i]!) > Math.abs(a[pivot]![i]!)) pivot = r;
    [a[i], a[pivot]] = [a[pivot]!, a[i]!];
    [b[i], b[pivot]] = [b[pivot]!, b[i]!];
    for (let r = i + 1; r < n; r++) {
      const f = a[r]![i]! / a[i]![i]!;
      if (f === 0) continue;
      for (let c = i; c < n; c++) a[r]![c]! -= f * a[i]![c]!;
      b[r]! -= f * b[i]!;
    }
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let c = i + 1; c < n; c++) b[i]! -= a[i]![c]! * b[c]!;
    b[i]! /= a[i]![i]!;
  }
  return b;
}
