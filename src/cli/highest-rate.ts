/** `--find-rate`: simulates at several rates, here or on several cores, and reports the best. */

import type { Composition } from '../config/composition.js';
import { ConfigError } from '../core/errors.js';
import { jsonText } from '../report/json.js';
import { type FoundRate, findRate, type Probe, probeOf, scaled } from './find-rate.js';
import { type ExitCode, INTERRUPTED, type Io, OK } from './io.js';
import { asksForFiles } from './run-files.js';
import { type Flags, sloFromFlags } from './simulate-flags.js';
import { runOnce, saveResult } from './simulate-run.js';
import { numberOf } from './values.js';
import { numWorkersOf } from './workers/num-workers.js';

/** Probes of a search, about: what decides whether threads are worth starting. */
const USUAL_PROBES = 12;

export async function highestRate(
  composition: Composition,
  flags: Flags,
  io: Io,
): Promise<ExitCode> {
  if (!sloFromFlags(flags)) {
    throw new ConfigError('--find-rate', 'bounds to meet: --goodput ttft:200 tpot:50', undefined);
  }
  if (composition.load.maxConcurrency !== undefined) {
    throw new ConfigError('--find-rate', 'a load without --max-concurrency', 'a closed loop');
  }
  const fraction = flags.findRate === true ? 0.99 : numberOf('--find-rate', String(flags.findRate));
  if (!(fraction > 0 && fraction <= 1)) {
    throw new ConfigError('--find-rate', 'a fraction above 0 and at most 1', flags.findRate);
  }
  const at = (scale: number) => ({ ...composition, load: scaled(composition.load, scale) });
  const here = async ([scale]: readonly number[]): Promise<Probe | undefined> => {
    const run = await runOnce(at(scale!), flags, io);
    return run.stopped ? undefined : probeOf(run, scale!, fraction);
  };
  const numWorkers = numWorkersOf(flags, USUAL_PROBES, composition.load);
  const found =
    numWorkers === 1
      ? await findRate(fraction, 1, here)
      : await searchInThreads(flags, fraction, numWorkers, io);
  if (!found) return INTERRUPTED;
  const { best, numRuns, unbounded } = found;
  if (asksForFiles(flags)) await runOnce(at(best.scale), flags, io, true);
  const heading = unbounded
    ? 'Even all requests at once meet the bounds: raise --num-prompts to find a limit.\n\n'
    : `Highest rate with ${fraction * 100} % good requests: ${best.rate.toPrecision(4)} requests/s ` +
      `(within 1 %, ${numRuns} simulations)\n\n`;
  saveResult(flags, () => jsonText(best.json));
  io.out(flags.json ? jsonText(best.json) : heading + best.text);
  return OK;
}

async function searchInThreads(
  flags: Flags,
  fraction: number,
  numWorkers: number,
  io: Io,
): Promise<FoundRate | undefined> {
  const { SpeculativeProbes } = await import('./workers/spread.js');
  const probes = new SpeculativeProbes(flags, fraction, numWorkers, io);
  try {
    return await findRate(fraction, numWorkers, probes.at);
  } finally {
    await probes.close();
  }
}
