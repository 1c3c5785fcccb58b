/**
 * Finding constants: Gauss–Newton on logarithmic residuals of whole simulations.
 *
 * A residual is ln(predicted / measured), weighed down smoothly when it is large (scale 0.12), so that
 * rows that describe something else do not pull. Groups of rows (source × GPU × engine × metric) weigh
 * by the square root of their size, TTFT a third. Priors keep each constant near what operator tables say.
 * Derivatives cost a simulation per constant and case, so one Jacobian serves several steps, and every
 * cross-validation: simulations say what a step gains, and it is shortened until it gains.
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
  /** Per row: derivative of its residual with respect to the logarithm of each parameter. */
  readonly jacobian: ReadonlyMap<Comparison, Float64Array>;
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
  const at = new Map(residuals.map((r) => [r.comparison, r.log]));
  const jacobian = new Map(
    residuals.map((r) => [r.comparison, new Float64Array(model.parameters.length)]),
  );
  model.parameters.forEach((p, k) => {
    if (p.frozen) return;
    const touched = cases.filter((c) => concerns(p.name, c, model));
    const down = values[k]! * Math.exp(STEP) > p.max;
    const moved = values.map((v, i) => (i === k ? v * Math.exp(down ? -STEP : STEP) : v));
    for (const r of residualsOf(touched, model, moved)) {
      const before = at.get(r.comparison);
      if (before !== undefined)
        jacobian.get(r.comparison)![k] = (r.log - before) / (down ? -STEP : STEP);
    }
    progress(k + 1);
  });
  return { values, residuals, jacobian };
}

/** Steps with one Jacobian; more gain nothing without new derivatives. */
const MOST_STEPS = 6;
/** A step that gains less than this share of the objective is the last. */
const LEAST_GAIN = 1e-3;

/**
 * Goes downhill from `l` on the cases that are kept, with the Jacobian of `l`: every step is simulated, and halved up to
 * three times until the objective falls.
 */
export function descend(l: Linearised, cases: readonly Case[], model: Model): Linearised {
  const kept = new Set(cases.flatMap((c) => c.comparisons));
  let here: Linearised = { ...l, residuals: l.residuals.filter((r) => kept.has(r.comparison)) };
  let now = objective(here.residuals, model, here.values);
  for (let i = 0; i < MOST_STEPS; i++) {
    const goal = step(here, model);
    const before = now;
    for (const share of [1, 0.5, 0.25, 0.125]) {
      const values = here.values.map((v, k) => v * (goal[k]! / v) ** share);
      const residuals = residualsOf(cases, model, values);
      const found = objective(residuals, model, values);
      if (found >= now) continue;
      here = { ...here, values, residuals };
      now = found;
      break;
    }
    if (now > before * (1 - LEAST_GAIN)) break;
  }
  return here;
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
  if (key?.startsWith('latent')) return c.model.mla !== undefined;
  if (key === 'expertComputeWeightOnly') return c.precision !== '16-bit';
  if (key?.endsWith('8') || key?.endsWith('4') || key === 'quantSeconds')
    return c.precision !== '16-bit';
  return true;
}

/** One Gauss–Newton step from where `l` stands: the moved values, each at most a factor of e away. */
function step(l: Linearised, model: Model): number[] {
  const n = model.parameters.length;
  const a = Array.from({ length: n }, () => new Float64Array(n));
  const b = new Float64Array(n);
  const weights = weightsOf(l.residuals);
  l.residuals.forEach((r, i) => {
    const row = l.jacobian.get(r.comparison);
    if (!row) return;
    const w = weights[i]! * pull(r.log);
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
/** Pseudo-Huber: a square near zero, straight far out. And how much less than a square it pulls. */
const cost = (log: number): number => SCALE ** 2 * (Math.sqrt(1 + (log / SCALE) ** 2) - 1);
const pull = (log: number): number => 1 / Math.sqrt(1 + (log / SCALE) ** 2);

/** Rows say this much against priors: a row of a group of one counts as `ROW_WEIGHT` measurements with σ = 10 %. */
const ROW_WEIGHT = 3;
/** TTFT depends on how requests meet each other. */
const TTFT_WEIGHT = 0.35;

/** Shared within groups by the square root of their size. */
function weightsOf(residuals: readonly Residual[]): number[] {
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
    r.case.engine,
    r.case.model.moe ? 'moe' : 'dense',
    r.comparison.metric,
  ].join('|');

/** What a fit makes small: pseudo-Huber losses of the rows, and squares of how far constants are from their priors. */
export function objective(
  residuals: readonly Residual[],
  model: Model,
  values: readonly number[],
): number {
  const weights = weightsOf(residuals);
  const rows = residuals.reduce((sum, r, i) => sum + weights[i]! * cost(r.log), 0);
  const priors = model.parameters.reduce(
    (sum, p, i) => sum + (Math.log(values[i]! / p.prior) / p.sigma) ** 2 / 2,
    0,
  );
  return rows + priors;
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
