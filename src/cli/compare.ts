/** Comma lists: the same load on every combination, in one table. */

import type { Composition } from '../config/composition.js';
import { ConfigError } from '../core/errors.js';
import {
  comparisonJson,
  comparisonTable,
  comparisonTitle,
  digestOf,
  type RunDigest,
  type Variant,
} from '../report/comparison.js';
import { jsonText } from '../report/json.js';
import { type ExitCode, INTERRUPTED, type Io, OK } from './io.js';
import { RUN_FILES } from './run-files.js';
import type { Flags, FlagVariant } from './simulate-flags.js';
import { type Base, composeFlags, runOnce, saveResult, tellWarnings } from './simulate-run.js';
import { numWorkersOf } from './workers/num-workers.js';

export async function compare(
  variants: readonly FlagVariant[],
  base: Base | undefined,
  flags: Flags,
  io: Io,
): Promise<ExitCode> {
  for (const [key, flag] of ONE_RUN) {
    if (flags[key] !== undefined) {
      throw new ConfigError(flag, 'a single run, without comma lists', `${variants.length} runs`);
    }
  }
  const composed: (Composition | ConfigError)[] = [];
  for (const { flags: own } of variants) composed.push(await attempt(own, base));
  if (composed.every((result) => result instanceof ConfigError)) throw composed[0];
  const possible = composed.flatMap((result, i) =>
    result instanceof ConfigError ? [] : [{ composition: result, flags: variants[i]!.flags }],
  );
  tellWarnings(
    possible.map(({ composition }) => composition),
    io,
  );
  const digests = await runAll(possible, flags, io);
  const done: Variant[] = [];
  for (const [i, { varied }] of variants.entries()) {
    const result = composed[i]!;
    if (result instanceof ConfigError) {
      done.push({ varied, outcome: { impossible: result.message } });
      continue;
    }
    const digest = digests.shift();
    if (digest) done.push({ varied, outcome: digest });
  }
  const stopped = done.length < variants.length || done.some(wasStopped);
  const json = () => jsonText(comparisonJson(done));
  saveResult(flags, json);
  io.out(flags.json ? json() : text(done, variants.length));
  return stopped ? INTERRUPTED : OK;
}

const wasStopped = ({ outcome }: Variant): boolean => 'json' in outcome && outcome.stopped;

interface Possible {
  readonly composition: Composition;
  readonly flags: Flags;
}

/** Their digests in order, here or spread over cores; `undefined` where an interrupt came first. */
async function runAll(
  runs: readonly Possible[],
  flags: Flags,
  io: Io,
): Promise<(RunDigest | undefined)[]> {
  const numWorkers = numWorkersOf(flags, runs.length, runs[0]!.composition.load);
  if (numWorkers > 1) {
    const { compareInThreads } = await import('./workers/spread.js');
    return compareInThreads(
      runs.map((run) => run.flags),
      numWorkers,
      io,
    );
  }
  const digests: (RunDigest | undefined)[] = [];
  for (const { composition } of runs) {
    const run = await runOnce(composition, flags, io);
    digests.push(digestOf(run));
    if (run.stopped) break;
  }
  return digests;
}

const ONE_RUN = [...RUN_FILES, ['dryRun', '--dry-run'], ['findRate', '--find-rate']] as const;

/** What cannot be (a model that does not fit) is a row of the table; wrong names are errors. */
async function attempt(flags: Flags, base: Base | undefined): Promise<Composition | ConfigError> {
  try {
    return await composeFlags(flags, base);
  } catch (error) {
    if (error instanceof ConfigError && isAboutFit(error)) return error;
    throw error;
  }
}

/** Layout and memory: refusals that depend on the combination. */
const isAboutFit = ({ path, expected }: ConfigError): boolean =>
  path === '--tensor-parallel-size' ||
  path === '--max-model-len' ||
  expected.startsWith('weights of') ||
  path === '--quantization' ||
  path === '--dtype';

function text(done: readonly Variant[], numVariants: number): string {
  if (done.length === 0) return 'Stopped before any of the runs had ended.\n';
  const rest = numVariants - done.length;
  const stopped = rest > 0 ? `\nStopped: ${rest} of ${numVariants} runs are missing.\n` : '';
  return `${comparisonTitle(done)}\n\n${comparisonTable(done)}${stopped}`;
}
