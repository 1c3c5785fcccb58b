/**
 * Samples of one metric in milliseconds: all of them, and so exact, up to a bound; beyond it a sketch,
 * so that memory is flat however long a run is.
 *
 * Statistics are numpy's: mean, population standard deviation, percentiles linear between ranks; 0
 * where there is no sample.
 */

import { LatencySketch, quantileOf } from '../core/metrics/quantiles.js';
import type { LatencySummary } from '../core/metrics/report.js';
import { NS_PER_MS } from '../core/units.js';

/** 8 MB of samples. */
const MOST_EXACT = 2 ** 20;

export class Samples {
  #values = new Float64Array(256);
  #count = 0;
  #sketch: LatencySketch | undefined;

  constructor(private readonly mostExact = MOST_EXACT) {}

  get count(): number {
    return this.#sketch ? this.#sketch.count : this.#count;
  }

  add(ms: number): void {
    if (this.#sketch) {
      this.#sketch.add(ms * NS_PER_MS);
      return;
    }
    if (this.#count === this.mostExact) {
      this.#pour();
      this.add(ms);
      return;
    }
    if (this.#count === this.#values.length) {
      const grown = new Float64Array(this.#values.length * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#count++] = ms;
  }

  summary(): LatencySummary {
    return this.#sketch ? this.#sketch.summary() : exactSummary(this.#sorted());
  }

  #sorted(): Float64Array {
    return this.#values.slice(0, this.#count).sort();
  }

  #pour(): void {
    this.#sketch = new LatencySketch();
    for (let i = 0; i < this.#count; i++) this.#sketch.add(this.#values[i]! * NS_PER_MS);
    this.#values = new Float64Array(0);
  }
}

/** @param sorted ascending */
export function exactSummary(sorted: Float64Array): LatencySummary {
  const count = sorted.length;
  const mean = sorted.reduce((sum, ms) => sum + ms, 0) / Math.max(count, 1);
  const variance = sorted.reduce((sum, ms) => sum + (ms - mean) ** 2, 0) / Math.max(count, 1);
  return {
    count,
    meanMs: mean,
    stdMs: Math.sqrt(variance),
    minMs: sorted[0] ?? 0,
    maxMs: sorted[count - 1] ?? 0,
    exact: true,
    quantileMs: (q) => (count === 0 ? 0 : quantileOf(sorted, q)),
  };
}

export const summaryOf = (values: readonly number[]): LatencySummary =>
  exactSummary(Float64Array.from(values).sort());
