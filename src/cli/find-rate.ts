/**
 * The highest rate that still meets the goodput bounds: bisection over simulations of the same load,
 * compressed. Gaps and lengths are the same at every rate, so the answer is a property of the load and
 * the system, not of a new draw.
 */

import { ConfigError } from '../core/errors.js';
import type { LoadOptions } from '../core/workload/load.js';
import { offeredRate, type Run } from '../report/run.js';

/** Stop when the highest rate that is met and the lowest that is not are this close. */
const PRECISION = 1.01;
const MOST_DOUBLINGS = 40;

export interface FoundRate {
  /** The run at the highest rate that met the bounds. */
  readonly best: Run;
  readonly numRuns: number;
  /** Even all requests at once are served well: the load is too short to find a limit. */
  readonly unbounded: boolean;
}

/**
 * @param simulate runs the load at one rate; `undefined` when the user interrupted
 * @throws {ConfigError} when no rate meets the bounds, however low
 */
export async function findRate(
  load: LoadOptions,
  fraction: number,
  simulate: (load: LoadOptions) => Promise<Run | undefined>,
): Promise<FoundRate | undefined> {
  let numRuns = 0;
  const attempt = async (scale: number): Promise<Run | undefined> => {
    numRuns++;
    return simulate(scaled(load, scale));
  };
  const good = ({ report }: Run) =>
    report.completed > 0 && (report.good ?? 0) >= fraction * report.submitted;

  let best: Run | undefined;
  let low = 0;
  let high = Infinity;
  let scale = 1;
  for (let i = 0; i < MOST_DOUBLINGS && (low === 0 || high > low * PRECISION); i++) {
    const run = await attempt(scale);
    if (!run) return undefined;
    if (good(run)) {
      best = run;
      low = scale;
    } else {
      high = scale;
    }
    if (high === Infinity) {
      if (isInstant(run)) return { best: run, numRuns, unbounded: true };
      scale *= 2;
    } else {
      scale = low === 0 ? scale / 2 : Math.sqrt(low * high);
    }
  }
  if (best) return { best, numRuns, unbounded: false };
  throw new ConfigError(
    '--goodput',
    'bounds that an idle system meets',
    `fewer than ${fraction * 100} % good requests at any rate`,
  );
}

/** The load `scale` times as fast: a trace by its own speed, the rest by its rate (1/s at scale 1). */
function scaled(load: LoadOptions, scale: number): LoadOptions {
  const { source, requestRate, rampUp } = load;
  if (rampUp) {
    const { strategy, startRps, endRps } = rampUp;
    return { ...load, rampUp: { strategy, startRps: startRps * scale, endRps: endRps * scale } };
  }
  if (source.kind === 'trace' && requestRate === undefined) {
    return { ...load, source: { ...source, speed: source.speed * scale } };
  }
  const rate = requestRate === undefined || requestRate === Infinity ? 1 : requestRate;
  return { ...load, requestRate: rate * scale };
}

/** Whether all requests arrived within a step or so. */
const isInstant = (run: Run): boolean => offeredRate(run) === Infinity || run.offered.spanNs < 1e6;
