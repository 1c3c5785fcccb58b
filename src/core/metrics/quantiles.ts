/**
 * A sketch of a distribution: counts in buckets of constant relative width, plus exact moments.
 *
 * The bucket of a value is read off its bits: the exponent and the top 7 bits of the mantissa of the
 * double. 128 buckets an octave mean that a bucket's middle is off by less than 0.4 %. No logarithm is
 * taken, and a sketch is 64 KB whatever it has seen. With `exact`, the samples are kept as well.
 */

import { DOUBLE_ZERO } from '../double.js';
import { NS_PER_MS } from '../units.js';
import type { LatencySummary } from './report.js';

const MANTISSA_BITS = 7;
/** Values below 1 ns share the first bucket; 2^53 ns end the clock. */
const FIRST = 1023 << MANTISSA_BITS;
const NUM_BUCKETS = 54 << MANTISSA_BITS;
const SHIFT = 20 - MANTISSA_BITS;

const double = new Float64Array(1);
const words = new Uint32Array(double.buffer);
const HIGH = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 1 : 0;

function bucketOf(ns: number): number {
  if (ns < 1) return 0;
  double[0] = ns;
  return Math.min((words[HIGH]! >>> SHIFT) - FIRST, NUM_BUCKETS - 1);
}

/** Where bucket `i` begins, in nanoseconds. */
function lowerEdge(i: number): number {
  words[HIGH] = (i + FIRST) << SHIFT;
  words[1 - HIGH] = 0;
  return double[0]!;
}

/** Quantile `q` (0 to 1), linear between order statistics. @param sorted ascending, at least one */
export function quantileOf(sorted: ArrayLike<number>, q: number): number {
  const rank = q * (sorted.length - 1);
  const below = sorted[Math.floor(rank)]!;
  return below + (sorted[Math.ceil(rank)]! - below) * (rank % 1);
}

/** Sums of squares outgrow whole numbers, and then their last digits depend on how equal steps were grouped. */
const STD_DIGITS = 9;
const toldTo = (digits: number, value: number): number => Number(value.toPrecision(digits));

export class LatencySketch {
  readonly #counts = new Float64Array(NUM_BUCKETS);
  #count = DOUBLE_ZERO;
  #sum = DOUBLE_ZERO;
  #sumSquares = DOUBLE_ZERO;
  #min = Infinity;
  #max = DOUBLE_ZERO;
  #samples: Float64Array | undefined;
  #sorted = false;
  /** Running sums of the counts, as of `#cumulativeOf` samples. */
  #cumulative: Float64Array | undefined;
  #cumulativeOf = -1;

  constructor(exact = false) {
    if (exact) this.#samples = new Float64Array(1024);
  }

  get count(): number {
    return this.#count + 0;
  }

  add(ns: number): void {
    if (this.#samples) this.#keep(ns);
    this.addWeighted(ns, 1);
  }

  /** `weight` samples of the same value. Not kept one by one: for gaps between tokens. */
  addWeighted(ns: number, weight: number): void {
    if (weight === 0) return;
    this.#counts[bucketOf(ns)]! += weight;
    this.#count += weight;
    this.#sum += ns * weight;
    this.#sumSquares += ns * ns * weight;
    if (ns < this.#min) this.#min = ns;
    if (ns > this.#max) this.#max = ns;
  }

  /** The samples `first, first + growth, …`: `steps` of them, each `weight` times; a visit per bucket. */
  addArithmetic(first: number, growth: number, steps: number, weight: number): void {
    if (steps <= 0 || weight === 0) return;
    const last = first + (steps - 1) * growth;
    let value = first;
    for (let left = steps; left > 0; ) {
      const bucket = bucketOf(value);
      const inside = growth > 0 ? Math.ceil((lowerEdge(bucket + 1) - value) / growth) : left;
      const taken = Math.min(left, Math.max(1, inside));
      this.#counts[bucket]! += taken * weight;
      value += taken * growth;
      left -= taken;
    }
    const n = steps;
    this.#count += n * weight;
    this.#sum += weight * (n * first + (growth * n * (n - 1)) / 2);
    this.#sumSquares +=
      weight *
      (n * first * first +
        first * growth * n * (n - 1) +
        (growth * growth * (n - 1) * n * (2 * n - 1)) / 6);
    if (first < this.#min) this.#min = first;
    if (last > this.#max) this.#max = last;
  }

  summary(): LatencySummary {
    const count = this.#count + 0;
    const mean = count > 0 ? this.#sum / count : 0;
    const variance = count > 0 ? Math.max(0, this.#sumSquares / count - mean * mean) : 0;
    return {
      count,
      meanMs: mean / NS_PER_MS,
      stdMs: toldTo(STD_DIGITS, Math.sqrt(variance) / NS_PER_MS),
      minMs: count > 0 ? this.#min / NS_PER_MS : 0,
      maxMs: count > 0 ? this.#max / NS_PER_MS : 0,
      exact: this.#samples !== undefined,
      quantileMs: (q) => this.#quantile(q) / NS_PER_MS,
    };
  }

  /** As numpy's default: linear between the two nearest ranks. */
  #quantile(q: number): number {
    if (this.#count === 0) return 0;
    const rank = q * (this.#count - 1);
    const below = this.#ranked(Math.floor(rank));
    return below + (this.#ranked(Math.ceil(rank)) - below) * (rank % 1);
  }

  /** The sample of this rank, from 0; the bucket's share of it where samples are not kept. */
  #ranked(rank: number): number {
    if (this.#samples) {
      if (!this.#sorted) this.#samples.subarray(0, this.#count).sort();
      this.#sorted = true;
      return this.#samples[rank]!;
    }
    if (rank === 0) return this.#min;
    if (rank === this.#count - 1) return this.#max;
    if (this.#cumulativeOf !== this.#count) this.#accumulate();
    const cumulative = this.#cumulative!;
    // The first bucket that reaches beyond the rank, by halving.
    let low = bucketOf(this.#min);
    let high = bucketOf(this.#max);
    while (low < high) {
      const middle = (low + high) >> 1;
      if (cumulative[middle]! > rank) high = middle;
      else low = middle + 1;
    }
    const here = this.#counts[low]!;
    const before = cumulative[low]! - here;
    // Below a nanosecond there is nothing but no time at all: tokens of one step.
    if (low === 0) return this.#min;
    const edge = lowerEdge(low);
    const value = edge + (lowerEdge(low + 1) - edge) * ((rank - before + 0.5) / here);
    return Math.min(Math.max(value, this.#min), this.#max);
  }

  #accumulate(): void {
    const counts = this.#counts;
    const cumulative = this.#cumulative ?? new Float64Array(NUM_BUCKETS);
    this.#cumulative = cumulative;
    const last = bucketOf(this.#max);
    let sum = 0;
    for (let i = bucketOf(this.#min); i <= last; i++) {
      sum += counts[i]!;
      cumulative[i] = sum;
    }
    this.#cumulativeOf = this.#count;
  }

  #keep(ns: number): void {
    let samples = this.#samples!;
    if (this.#count === samples.length) {
      const grown = new Float64Array(samples.length * 2);
      grown.set(samples);
      this.#samples = grown;
      samples = grown;
    }
    samples[this.#count] = ns;
    this.#sorted = false;
  }
}
