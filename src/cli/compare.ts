/** Comma lists: the same load on every combination, in one table. */

import { ConfigError } from '../core/errors.js';
import {
  comparisonJson,
  comparisonTable,
  comparisonTitle,
  type Variant,
} from '../report/comparison.js';
import { loadLabel } from '../report/human.js';
import { jsonText } from '../report/result-json.js';
import { type ExitCode, INTERRUPTED, type Io, OK } from './io.js';
import type { Flags, FlagVariant } from './simulate-flags.js';
import { type Base, composeFlags, runOnce, saveResult } from './simulate-run.js';

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
  const done: Variant[] = [];
  let stopped = false;
  for (const { flags: own, varied } of variants) {
    const outcome = await attempt(own, base, io, isHopeless(variants.length, done));
    done.push({ varied, outcome });
    stopped = 'report' in outcome && outcome.stopped;
    if (stopped) break;
  }
  const json = () => jsonText(comparisonJson(done));
  saveResult(flags, json);
  io.out(flags.json ? json() : text(done));
  return stopped ? INTERRUPTED : OK;
}

const ONE_RUN = [
  ['saveRequests', '--save-requests'],
  ['dryRun', '--dry-run'],
  ['findRate', '--find-rate'],
] as const;

/** Whether the last variant is about to fail like all before it: then the error is the answer. */
const isHopeless = (numVariants: number, done: readonly Variant[]): boolean =>
  done.length === numVariants - 1 && done.every(({ outcome }) => 'impossible' in outcome);

/** What cannot be (a model that does not fit) is a row of the table; wrong names are errors. */
async function attempt(
  flags: Flags,
  base: Base | undefined,
  io: Io,
  isLastHope: boolean,
): Promise<Variant['outcome']> {
  try {
    return await runOnce(composeFlags(flags, base), flags, io);
  } catch (error) {
    if (!(error instanceof ConfigError) || isLastHope || !isAboutFit(error)) throw error;
    return { impossible: error.message };
  }
}

/** Layout and memory: refusals that depend on the combination. */
const isAboutFit = ({ path, expected }: ConfigError): boolean =>
  path === '--tensor-parallel-size' ||
  path === '--max-model-len' ||
  expected.startsWith('weights of') ||
  path === '--quantization' ||
  path === '--dtype';

function text(done: readonly Variant[]): string {
  const run = done.map(({ outcome }) => outcome).find((outcome) => 'report' in outcome);
  const load = run && 'report' in run ? loadLabel(run.load, run.trace) : '';
  const title = [comparisonTitle(done), load].filter((part) => part !== '').join(': ');
  return `${title}\n\n${comparisonTable(done)}`;
}
