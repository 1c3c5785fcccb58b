/** `simulate`: a load on a scenario, in virtual time. */

import { ConfigError } from '../../core/errors.js';
import type { LoadOptions } from '../../core/workload/load.js';
import { humanReport, loadLabel } from '../../report/human.js';
import { jsonText, resultJson } from '../../report/result-json.js';
import { offeredRate, type Run } from '../../report/run.js';
import type { DefineCommand } from '../command.js';
import type { Composition } from '../compose.js';
import { type ExitCode, INTERRUPTED, type Io, OK } from '../io.js';
import { asksForFiles } from '../run-files.js';
import { addSimulateFlags, type Flags, sloFromFlags, variantsOf } from '../simulate-flags.js';
import { baseOf, checkResultFile, composeFlags, runOnce, saveResult } from '../simulate-run.js';
import { numberOf } from '../values.js';

export const defineSimulate: DefineCommand = (command, io, exit) => {
  addSimulateFlags(command);
  command.action(async (flags: Flags) => exit(await simulate(flags, io)));
};

async function simulate(flags: Flags, io: Io): Promise<ExitCode> {
  const base = await baseOf(flags);
  const variants = variantsOf(flags);
  checkResultFile(flags);
  if (variants.length > 1) {
    const { compare } = await import('../compare.js');
    return compare(variants, base, flags, io);
  }
  const composition = composeFlags(flags, base);
  if (flags.dryRun) return dryRun(composition, flags, io);
  if (flags.findRate) return highestRate(composition, flags, io);
  const run = await runOnce(composition, flags, io, true);
  return finish(run, flags, io);
}

function finish(run: Run, flags: Flags, io: Io): ExitCode {
  const json = () => jsonText(resultJson(run));
  saveResult(flags, json);
  io.out(flags.json ? json() : humanReport(run));
  return run.stopped ? INTERRUPTED : OK;
}

async function dryRun(composition: Composition, flags: Flags, io: Io): Promise<ExitCode> {
  const { dryRunJson, dryRunText } = await import('../../report/dry-run.js');
  const label = loadLabel(composition.load, composition.trace);
  const { pools } = composition;
  io.out(flags.json ? jsonText(dryRunJson(pools, label)) : dryRunText(pools, label));
  return OK;
}

/** `--find-rate`: simulates at several rates and reports the best. */
async function highestRate(composition: Composition, flags: Flags, io: Io): Promise<ExitCode> {
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
  const { findRate } = await import('../find-rate.js');
  const at = async (load: LoadOptions) => {
    const run = await runOnce({ ...composition, load }, flags, io);
    return run.stopped ? undefined : run;
  };
  const found = await findRate(composition.load, fraction, at);
  if (!found) return INTERRUPTED;
  const { best, numRuns, unbounded } = found;
  const run = asksForFiles(flags)
    ? await runOnce({ ...composition, load: best.load }, flags, io, true)
    : best;
  if (!flags.json) {
    const rate = offeredRate(run);
    io.out(
      unbounded
        ? `Even all requests at once meet the bounds: raise --num-prompts to find a limit.\n\n`
        : `Highest rate with ${fraction * 100} % good requests: ${rate.toPrecision(4)} requests/s ` +
            `(within 1 %, ${numRuns} simulations)\n\n`,
    );
  }
  return finish(run, flags, io);
}
