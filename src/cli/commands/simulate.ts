/** `simulate`: a load on a scenario, in virtual time. */

import type { Composition } from '../../config/composition.js';
import { humanReport } from '../../report/human.js';
import { jsonText } from '../../report/json.js';
import { loadLabel } from '../../report/load-label.js';
import { resultJson } from '../../report/result-json.js';
import type { Run } from '../../report/run.js';
import type { DefineCommand } from '../command.js';
import { type ExitCode, INTERRUPTED, type Io, OK } from '../io.js';
import { addSimulateFlags, type Flags, variantsOf } from '../simulate-flags.js';
import {
  baseOf,
  checkResultFile,
  composeFlags,
  runOnce,
  saveResult,
  tellWarnings,
} from '../simulate-run.js';

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
  const composition = await composeFlags(flags, base);
  tellWarnings([composition], io);
  if (flags.dryRun) return dryRun(composition, flags, io);
  if (flags.findRate) {
    const { highestRate } = await import('../highest-rate.js');
    return highestRate(composition, flags, io);
  }
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
