/**
 * Fitting coefficients to what was observed: least squares in log error, damped (Levenberg–Marquardt).
 *
 * Log error weighs a step of 5 ms like one of 50. A weak prior keeps each coefficient near "no change"
 * unless the observations say otherwise, so what they cannot tell (FLOP, from decodes alone) stays as
 * it was. Outliers count by their size rather than its square (Huber): the first request of a real
 * server compiles kernels.
 */

import { type Coefficients, IDENTITY } from './calibration.js';

/** Log of simulated over observed, one per observation, in a fixed order; NaN where it has no value. */
export type LogErrors = (coefficients: Coefficients) => Float64Array;

export interface FitOptions {
  readonly logErrors: LogErrors;
  /** Whether an observation is fitted; the others are held back. */
  readonly isFitted: (index: number) => boolean;
  /** Coefficients the observations can say something about. */
  readonly free: readonly (keyof Coefficients)[];
  /** Told before each evaluation of the model; returns true to stop where it stands. */
  readonly progress?: (done: number, most: number) => boolean;
}

/** Of the prior, and the unit the solver works in: additive in seconds, factors in their logarithm. */
const SPREAD: Readonly<Record<keyof Coefficients, number>> = {
  stepOffsetSeconds: 5e-3,
  perSequenceSeconds: 50e-6,
  bandwidthFactor: 0.3,
  flopFactor: 0.3,
  inputLatencySeconds: 20e-3,
};
const FACTORS: readonly (keyof Coefficients)[] = ['bandwidthFactor', 'flopFactor'];
/** Log error of an observation that is taken for noise: about 10 %. */
const NOISE = 0.1;
/** Above this many times the noise an observation is an outlier. */
const OUTLIER = 2;
const MAX_STEPS = 12;
/** Of a spread, for derivatives: large enough to see over the ties of a schedule. */
const PROBE = 0.02;
const GOOD_ENOUGH = 1e-4;

export function fitCoefficients({ logErrors, isFitted, free, progress }: FitOptions): Coefficients {
  const most = 1 + MAX_STEPS * (free.length + 2);
  let done = 0;
  let stopped = false;
  const evaluate = (point: readonly number[]): Float64Array => {
    stopped ||= progress?.(done++, most) ?? false;
    return logErrors(coefficientsAt(free, point));
  };
  let point = free.map(() => 0);
  let errors = evaluate(point);
  let loss = lossOf(errors, isFitted, point);
  let damping = 1e-2;
  for (let step = 0; step < MAX_STEPS && !stopped; step++) {
    const normal = normalEquations(errors, isFitted, point, (i) => {
      const probe = point.map((p, j) => (j === i ? p + PROBE : p));
      return evaluate(probe);
    });
    let better = false;
    for (let tries = 0; tries < 2 && !stopped; tries++) {
      const change = solve(normal, damping);
      const next = point.map((p, i) => Math.max(-6, Math.min(6, p + change[i]!)));
      const nextErrors = evaluate(next);
      const nextLoss = lossOf(nextErrors, isFitted, next);
      if (nextLoss < loss) {
        better = loss - nextLoss > GOOD_ENOUGH * loss;
        [point, errors, loss] = [next, nextErrors, nextLoss];
        damping /= 5;
        break;
      }
      damping *= 10;
    }
    if (!better && damping > 1) break;
  }
  return coefficientsAt(free, point);
}

function coefficientsAt(
  free: readonly (keyof Coefficients)[],
  point: readonly number[],
): Coefficients {
  const changed = free.map((name, i) => {
    const value = point[i]! * SPREAD[name];
    return [name, FACTORS.includes(name) ? Math.exp(value) : value];
  });
  return { ...IDENTITY, ...Object.fromEntries(changed) };
}

/** Huber's weight: 1 for what may be noise, falling for outliers. */
const weightOf = (error: number): number =>
  Math.min(1, (OUTLIER * NOISE) / Math.max(Math.abs(error), 1e-12)) / NOISE ** 2;

function lossOf(
  errors: Float64Array,
  isFitted: (index: number) => boolean,
  point: readonly number[],
): number {
  let loss = point.reduce((sum, p) => sum + p * p, 0) / 2;
  const bend = OUTLIER * NOISE;
  for (const [i, error] of errors.entries()) {
    if (Number.isNaN(error) || !isFitted(i)) continue;
    const size = Math.abs(error);
    loss += (size <= bend ? (size * size) / 2 : bend * (size - bend / 2)) / NOISE ** 2;
  }
  return loss;
}

interface Normal {
  readonly matrix: number[][];
  readonly vector: number[];
}

/** Σ w·gᵢ·gⱼ and −Σ w·gᵢ·e over the fitted observations, the prior included. */
function normalEquations(
  errors: Float64Array,
  isFitted: (index: number) => boolean,
  point: readonly number[],
  probed: (parameter: number) => Float64Array,
): Normal {
  const slopes = point.map((_, i) => probed(i).map((e, row) => (e - errors[row]!) / PROBE));
  const matrix = point.map((_, i) => point.map((__, j) => (i === j ? 1 : 0)));
  const vector = point.map((p) => -p);
  for (const [row, error] of errors.entries()) {
    if (!isFitted(row) || Number.isNaN(error)) continue;
    if (slopes.some((slope) => Number.isNaN(slope[row]!))) continue;
    const weight = weightOf(error);
    for (const [i, a] of slopes.entries()) {
      vector[i]! -= weight * a[row]! * error;
      for (const [j, b] of slopes.entries()) matrix[i]![j]! += weight * a[row]! * b[row]!;
    }
  }
  return { matrix, vector };
}

/** (matrix + damping · its diagonal) · x = vector, by elimination with pivots. */
function solve({ matrix, vector }: Normal, damping: number): number[] {
  const n = vector.length;
  const rows = matrix.map((row, i) => [
    ...row.map((value, j) => (i === j ? value * (1 + damping) : value)),
    vector[i]!,
  ]);
  for (let column = 0; column < n; column++) {
    let pivot = column;
    for (let r = column + 1; r < n; r++)
      if (Math.abs(rows[r]![column]!) > Math.abs(rows[pivot]![column]!)) pivot = r;
    [rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!];
    for (let r = 0; r < n; r++) {
      if (r === column) continue;
      const factor = rows[r]![column]! / rows[column]![column]!;
      for (let k = column; k <= n; k++) rows[r]![k]! -= factor * rows[column]![k]!;
    }
  }
  return rows.map((row, i) => row[n]! / row[i]!);
}

export interface Residuals {
  readonly count: number;
  /** Percent, absolute: half of the observations are within it, and nine tenths. */
  readonly medianPercent: number;
  readonly p90Percent: number;
  /** Median, signed: above 0 the model is too slow. */
  readonly biasPercent: number;
}

/** Of the observations `includes` picks; `undefined` when there are none. */
export function residuals(
  errors: Float64Array,
  includes: (index: number) => boolean,
): Residuals | undefined {
  const signed = [...errors]
    .filter((e, i) => includes(i) && !Number.isNaN(e))
    .sort((a, b) => a - b);
  if (signed.length === 0) return undefined;
  const size = signed.map((e) => Math.abs(Math.expm1(e))).sort((a, b) => a - b);
  const at = (list: readonly number[], q: number) =>
    list[Math.min(list.length - 1, Math.floor(q * list.length))]!;
  return {
    count: signed.length,
    medianPercent: at(size, 0.5) * 100,
    p90Percent: at(size, 0.9) * 100,
    biasPercent: Math.expm1(at(signed, 0.5)) * 100,
  };
}
