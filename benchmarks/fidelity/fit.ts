/**
 * Finding constants: Gauss–Newton on logarithmic residuals of whole simulations.
 *
 * Derivatives cost a simulation per constant and case, so one Jacobian serves several steps, and every
 * cross-validation. Simulations are rough (who is admitted when, changes by whole requests), so derivatives only propose:
 * each step is tried at several dampings (Levenberg–Marquardt), and simulations say which of them gains most.
 */

import { efficiencyFor } from '../../src/core/perf/efficiency.js';
import type { Case, Comparison } from './case.js';
import { fromPriors, objective, pull, weightsOf } from './objective.js';
import type { Model } from './parameters.js';
import { type Residual, residualsOf } from './residuals.js';

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
    const down = values[k]! * Math.exp(STEP) > p.max;
    const moved = values.map((v, i) => (i === k ? v * Math.exp(down ? -STEP : STEP) : v));
    const reached = reachedBy(p.name, cases, model, values, moved);
    for (const r of residualsOf(reached, model, moved)) {
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

/** Shares of the diagonal added to it: from a whole Gauss–Newton step to a short one down the gradient. */
const DAMPINGS = [0, 0.3, 3, 30];

/**
 * Goes downhill from `l` on the cases that are kept, with the Jacobian of `l`: every step is simulated at each damping, and
 * the best is taken, until none gains.
 */
export function descend(l: Linearised, cases: readonly Case[], model: Model): Linearised {
  const kept = new Set(cases.flatMap((c) => c.comparisons));
  let here: Linearised = { ...l, residuals: l.residuals.filter((r) => kept.has(r.comparison)) };
  let now = objective(here.residuals, model, here.values);
  for (let i = 0; i < MOST_STEPS; i++) {
    const before = now;
    const from = here;
    for (const damping of DAMPINGS) {
      const values = step(from, model, damping);
      const residuals = residualsOf(cases, model, values);
      const found = objective(residuals, model, values);
      if (found >= now) continue;
      here = { ...from, values, residuals };
      now = found;
    }
    if (now > before * (1 - LEAST_GAIN)) break;
  }
  return here;
}

/** How far a parameter is moved at once, in its logarithm: coarse, then fine. */
const STRIDES = [0.2, 0.06];

/**
 * One parameter after the other, up and down as long as that gains: finds what derivatives of a rough function miss.
 * Only the cases that a parameter reaches are simulated.
 */
export function polish(
  l: Linearised,
  cases: readonly Case[],
  model: Model,
  progress: (done: number) => void,
): Linearised {
  let { values } = l;
  let found = new Map(l.residuals.map((r) => [r.comparison, r]));
  for (const k of model.parameters.keys()) {
    for (const stride of STRIDES) if (!goes(k, stride)) goes(k, -stride);
    progress(k + 1);
  }
  return { ...l, values, residuals: [...found.values()] };

  /** Moves parameter `k` by `stride` until that gains nothing; whether it has moved. */
  function goes(k: number, stride: number): boolean {
    const p = model.parameters[k]!;
    for (let moves = 0; ; moves++) {
      const moved = values.map((v, i) => (i === k ? Math.min(p.max, v * Math.exp(stride)) : v));
      if (moved[k] === values[k]) return moves > 0;
      const reached = reachedBy(p.name, cases, model, values, moved);
      const trial = new Map(found);
      for (const r of residualsOf(reached, model, moved)) trial.set(r.comparison, r);
      const before = objective([...found.values()], model, values);
      if (objective([...trial.values()], model, moved) >= before) return moves > 0;
      found = trial;
      values = moved;
    }
  }
}

/** The cases that a parameter changes when `values` become `moved`. */
function reachedBy(
  name: string,
  cases: readonly Case[],
  model: Model,
  values: readonly number[],
  moved: readonly number[],
): Case[] {
  const differs = differenceOf(model, values, moved);
  return cases.filter((c) => differs(c) && usedBy(name, c));
}

/** Whether a case has other constants with `moved` than with `values`: spares most of the simulations of a Jacobian. */
function differenceOf(
  model: Model,
  values: readonly number[],
  moved: readonly number[],
): (c: Case) => boolean {
  const found = new Map<string, boolean>();
  const constantsOf = (c: Case, v: readonly number[]): string => {
    const { engine, efficiency } = model.perfData(c.engine, v);
    return JSON.stringify([engine, efficiencyFor(efficiency, c.gpu, engine)]);
  };
  return (c) => {
    const key = `${c.engine} on ${c.gpu.name}`;
    const known = found.get(key);
    if (known !== undefined) return known;
    const differs = constantsOf(c, values) !== constantsOf(c, moved);
    found.set(key, differs);
    return differs;
  };
}

/** Whether a case computes with a parameter that it has. */
function usedBy(name: string, c: Case): boolean {
  const [kind, ...rest] = name.split('.');
  const key = rest.at(-1)!;
  const ranks = Math.max(c.options.tensorParallelSize ?? 1, c.options.dataParallelSize ?? 1);
  if (/^(moe|manyMoe|smallExpert|expertDispatch)/.test(key)) return c.model.moe !== undefined;
  if (/educe|^barrier|^link|^nccl|^switch/.test(key)) return ranks > 1;
  if (key.startsWith('latent')) return c.model.mla !== undefined;
  if (key === 'inputLatencySeconds' || key === 'tokenizingSecondsPerToken')
    return c.load.kind !== 'step' && c.options.inputLatencyMs === undefined;
  if (key === 'dispatchSecondsPerLayer') return c.load.kind !== 'step';
  if (key === 'samplingBytesPerLogit') return !c.greedy;
  if (kind === 'engine') return true;
  if (key === 'expertComputeWeightOnly' || key === 'quantSeconds' || /[84]$/.test(key))
    return c.precision !== '16-bit';
  return true;
}

/** One damped Gauss–Newton step from where `l` stands: the moved values, each at most a factor of e away. */
function step(l: Linearised, model: Model, damping: number): number[] {
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
  const far = fromPriors(model, l.values);
  model.parameters.forEach((p, j) => {
    const prior = 1 / p.sigma ** 2;
    a[j]![j]! += prior;
    b[j]! -= prior * far[j]!;
  });
  for (const { between, sigma } of model.links) {
    const [j, k] = between;
    const link = 1 / sigma ** 2;
    const apart = far[j]! - far[k]!;
    a[j]![j]! += link;
    a[k]![k]! += link;
    a[j]![k]! -= link;
    a[k]![j]! -= link;
    b[j]! -= link * apart;
    b[k]! += link * apart;
  }
  for (let j = 0; j < n; j++) a[j]![j]! *= 1 + damping;
  const delta = solve(a, b);
  return model.parameters.map((p, j) => {
    return Math.min(p.max, l.values[j]! * Math.exp(Math.max(-1, Math.min(1, delta[j]!))));
  });
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
