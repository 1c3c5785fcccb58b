/**
 * Fitting coefficients to what was observed: least squares in log error, damped (Levenberg–Marquardt),
 * then polished by trying.
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
const MAX_TRIES = 3;
const MAX_SWEEPS = 24;
/**
 * Of a spread, for derivatives: they begin wide and narrow. A schedule answers in small jumps (a
 * request makes a step or misses it), and only wide probes see over them.
 */
const WIDEST = 0.5;
const NARROWEST = 0.02;
const GOOD_ENOUGH = 1e-4;

export function fitCoefficients(options: FitOptions): Coefficients {
  const { free } = options;
  const search = new Search(options);
  let probe = WIDEST;
  let damping = 1e-2;
  for (let step = 0; step < MAX_STEPS && !search.stopped; step++) {
    const before = search.loss;
    const normal = search.normalEquations(probe);
    for (let tries = 0; tries < MAX_TRIES && !search.stopped; tries++) {
      const change = solve(normal, damping);
      if (search.moveTo(search.point.map((p, i) => p + change[i]!))) {
        damping /= 5;
        break;
      }
      damping *= 10;
    }
    const settled = before - search.loss <= GOOD_ENOUGH * before;
    if (settled && probe === NARROWEST) break;
    probe = Math.max(NARROWEST, probe / 2);
    if (settled) damping = 1e-2;
  }
  polish(search);
  return coefficientsAt(free, search.point);
}

/** One coefficient after the other, up or down, by ever smaller steps: needs no derivative at all. */
function polish(search: Search): void {
  let reach = WIDEST / 4;
  for (let sweep = 0; sweep < MAX_SWEEPS && reach > NARROWEST / 10 && !search.stopped; sweep++) {
    const before = search.loss;
    for (let i = 0; i < search.point.length; i++) {
      const by = (change: number) => search.point.map((p, j) => (j === i ? p + change : p));
      if (!search.moveTo(by(reach))) search.moveTo(by(-reach));
    }
    if (before - search.loss <= GOOD_ENOUGH * before) reach /= 2;
  }
}

/** The best point so far, what the model says there, and how often it was asked. */
class Search {
  point: readonly number[];
  loss: number;
  stopped = false;
  #errors: Float64Array;
  #done = 0;

  constructor(private readonly options: FitOptions) {
    this.point = options.free.map(() => 0);
    this.#errors = this.#evaluate(this.point);
    this.loss = lossOf(this.#errors, options.isFitted, this.point);
  }

  /** Goes there if it is better. */
  moveTo(wanted: readonly number[]): boolean {
    const point = wanted.map((p) => Math.max(-FARTHEST, Math.min(FARTHEST, p)));
    const errors = this.#evaluate(point);
    const loss = lossOf(errors, this.options.isFitted, point);
    if (!(loss < this.loss)) return false;
    this.point = point;
    this.loss = loss;
    this.#errors = errors;
    return true;
  }

  normalEquations(probe: number): Normal {
    const { point } = this;
    const slopes = point.map((_, i) => {
      const at = (change: number) =>
        this.#evaluate(point.map((p, j) => (j === i ? p + change : p)));
      const [below, above] = [at(-probe), at(probe)];
      return above.map((e, row) => (e - below[row]!) / (2 * probe));
    });
    return normalEquations(this.#errors, this.options.isFitted, point, slopes);
  }

  #evaluate(point: readonly number[]): Float64Array {
    const { free, logErrors, progress } = this.options;
    const most = 1 + MAX_STEPS * (2 * free.length + MAX_TRIES) + MAX_SWEEPS * 2 * free.length;
    this.stopped ||= progress?.(this.#done++, most) ?? false;
    return logErrors(coefficientsAt(free, point));
  }
}

/** Spreads from no change at most. */
const FARTHEST = 6;

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
  slopes: readonly Float64Array[],
): Normal {
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
