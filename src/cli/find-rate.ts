/**
 * The highest rate that still meets the goodput bounds: bisection over simulations of the same load,
 * compressed. Gaps and lengths are the same at every rate, so the answer is a property of the load and
 * the system, not of a new draw.
 *
 * A probe says only good or not, so what may be probed next is known before it is: with cores to spare,
 * the likely next probes run beside it. The path through them is the same either way.
 */

import { ConfigError } from '../core/errors.js';
import { DEFAULT_NUM_PROMPTS, type LoadOptions } from '../core/workload/load.js';
import { humanReport } from '../report/human.js';
import type { Json } from '../report/json.js';
import { resultJson } from '../report/result-json.js';
import { offeredRate, type Run } from '../report/run.js';

/** Stop when the highest rate that is met and the lowest that is not are this close. */
const PRECISION = 1.01;
const MOST_PROBES = 40;

/** What came of one rate; plain data, so that it can come from another thread. */
export interface Probe {
  /** The rate, as a factor on the load's own. */
  readonly scale: number;
  readonly good: boolean;
  /** All requests arrived within a step or so: no rate is higher. */
  readonly instant: boolean;
  /** Requests per second that arrived. */
  readonly rate: number;
  readonly json: Json;
  readonly text: string;
}

export function probeOf(run: Run, scale: number, fraction: number): Probe {
  const { completed, good = 0, submitted } = run.report;
  const rate = offeredRate(run);
  return {
    scale,
    good: completed > 0 && good >= fraction * submitted,
    instant: rate === Infinity || startSpanNs(run) < 1e6,
    rate,
    json: resultJson(run),
    text: humanReport(run),
  };
}

/** Over how long requests, or conversations, begin. */
function startSpanNs({ load, offered }: Run): number {
  if (!load.conversations || load.requestRate === undefined) return offered.spanNs;
  return ((load.numPrompts ?? DEFAULT_NUM_PROMPTS) / load.requestRate) * 1e9;
}

export interface FoundRate {
  /** The run at the highest rate that met the bounds. */
  readonly best: Probe;
  readonly numRuns: number;
  /** Even all requests at once are served well: the load is too short to find a limit. */
  readonly unbounded: boolean;
}

/** Where the search stands: scales known to be good and bad, and the one to try. */
export interface Search {
  readonly low: number;
  readonly high: number;
  readonly scale: number;
}

const START: Search = { low: 0, high: Infinity, scale: 1 };

/** Where it goes after `scale` was good, or was not; `undefined`: it is over. */
export function after({ low, high, scale }: Search, good: boolean): Search | undefined {
  if (good) low = scale;
  else high = scale;
  if (low > 0 && high <= low * PRECISION) return undefined;
  if (high === Infinity) return { low, high, scale: scale * 2 };
  return { low, high, scale: low === 0 ? scale / 2 : Math.sqrt(low * high) };
}

/** The scale to try and those that may be tried after it, nearest first; `count` at most. */
export function likely(search: Search, count: number): number[] {
  const queue = [search];
  for (let i = 0; i < queue.length && queue.length < count; i++) {
    for (const good of [true, false]) {
      const next = after(queue[i]!, good);
      if (next) queue.push(next);
    }
  }
  return queue.slice(0, count).map(({ scale }) => scale);
}

/**
 * @param simulate runs the load at the first of `scales`, the others being likely to follow; `undefined`
 *   when the user interrupted
 * @throws {ConfigError} when no rate meets the bounds, however low
 */
export async function findRate(
  fraction: number,
  numWorkers: number,
  simulate: (scales: readonly number[]) => Promise<Probe | undefined>,
): Promise<FoundRate | undefined> {
  let best: Probe | undefined;
  let search: Search | undefined = START;
  let numRuns = 0;
  while (search && numRuns < MOST_PROBES) {
    const probe: Probe | undefined = await simulate(likely(search, numWorkers));
    if (!probe) return undefined;
    numRuns++;
    if (probe.good) best = probe;
    search = after(search, probe.good);
    if (search?.high === Infinity && probe.instant) {
      return { best: probe, numRuns, unbounded: true };
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
export function scaled(load: LoadOptions, scale: number): LoadOptions {
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
