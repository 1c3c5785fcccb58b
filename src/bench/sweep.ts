/**
 * The highest rate a server carries under bounds: bisection over runs of the same load, compressed.
 * Rates double until the bounds break, then the interval is halved (geometrically) to a few percent;
 * a measurement is noisier than a simulation, so no closer.
 */

import { ConfigError } from '../core/errors.js';
import type { BenchResult } from './result.js';

const PRECISION = 1.1;
const MOST_RUNS = 20;

export interface FoundBenchRate {
  readonly best: BenchResult;
  /** All runs, in the order they were made. */
  readonly runs: readonly BenchResult[];
  /** The highest rate tried still met the bounds. */
  readonly unbounded: boolean;
}

/** The part of all requests sent that met every bound. */
export const goodFraction = ({ measured }: BenchResult): number =>
  measured.good / Math.max(1, measured.completed + measured.failed);

/**
 * @param runAt measures at one rate; `undefined` when the user interrupted
 * @throws {ConfigError} when no rate meets the bounds, however low
 */
export async function findBenchRate(
  startRate: number,
  fraction: number,
  runAt: (rate: number) => Promise<BenchResult | undefined>,
): Promise<FoundBenchRate | undefined> {
  const runs: BenchResult[] = [];
  let best: BenchResult | undefined;
  let low = 0;
  let high = Infinity;
  let rate = startRate;
  while (runs.length < MOST_RUNS && (low === 0 || high > low * PRECISION)) {
    const run = await runAt(rate);
    if (!run) return undefined;
    runs.push(run);
    if (goodFraction(run) >= fraction) {
      best = run;
      low = rate;
      // All requests were sent before the first ended: a higher rate is the same load.
      if (high === Infinity && run.measured.peakConcurrency >= run.config.numPrompts) {
        return { best, runs, unbounded: true };
      }
    } else {
      high = rate;
    }
    rate = high === Infinity ? rate * 2 : low === 0 ? rate / 2 : Math.sqrt(low * high);
  }
  if (best) return { best, runs, unbounded: high === Infinity };
  throw new ConfigError(
    '--goodput',
    'bounds that an idle server meets',
    `fewer than ${fraction * 100} % good requests at every rate tried, down to ${high.toPrecision(3)}/s`,
  );
}
