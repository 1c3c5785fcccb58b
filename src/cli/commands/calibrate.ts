/**
 * `calibrate`: the few coefficients that bring the model to a real server, fitted to what was observed
 * of it, and a file that `--calibration` takes.
 */

import { writeFileSync } from 'node:fs';
import type { ScenarioRequest } from '../../config/scenario-request.js';
import { ConfigError } from '../../core/errors.js';
import type { Calibration } from '../../core/perf/calibration.js';
import { grouped } from '../../report/format.js';
import { jsonText } from '../../report/json.js';
import { checkOutput, unwritable } from '../../report/output-file.js';
import { calibrationJson, caseLabel } from '../calibrate/calibration-file.js';
import { calibrationText } from '../calibrate/calibration-text.js';
import { type Fitted, fitObserved } from '../calibrate/fit-observed.js';
import { OBSERVED_FORMS, type Observed, readObserved } from '../calibrate/observed.js';
import type { DefineCommand } from '../command.js';
import { composePools } from '../compose.js';
import type { Io } from '../io.js';
import { addPoolFlags, addRows, type Flags, requestFromFlags } from '../simulate-flags.js';
import { baseOf, namingOf, textFlag } from '../simulate-run.js';

export const defineCalibrate: DefineCommand = (command, io) => {
  addPoolFlags(command);
  addRows(command, 'Calibration:', [
    ['--observed <file>', 'what a real server did: detailed bench result, request rows, or steps'],
    ['--save-calibration <file>', 'write the fit, for --calibration of simulate and server'],
    ['--json', 'print the fit as JSON'],
  ]);
  command.addHelpText('after', `\nFILE of --observed. ${OBSERVED_FORMS}`);
  command.action(async (flags: Flags) => {
    const path = textFlag(flags, 'observed');
    if (path === undefined)
      throw new ConfigError('--observed', 'a file', undefined, OBSERVED_FORMS);
    if (flags.calibration !== undefined) {
      throw new ConfigError('--calibration', 'nothing here: a fit starts anew', flags.calibration);
    }
    const target = textFlag(flags, 'saveCalibration');
    if (target !== undefined) checkOutput('--save-calibration', target);
    const base = await baseOf(flags);
    const request = requestFromFlags(flags, base?.request);
    const { pools, router, seed } = await composePools(
      withoutCache(request),
      namingOf(flags, base).pool,
    );
    const pool = pools[0]!;
    if (pool.table) {
      const instead = 'nothing here: what is fitted is the analytic model';
      throw new ConfigError('--perf-table', instead, flags.perfTable ?? pool.table.meta.source);
    }
    if (pools.length > 1) throw new ConfigError('--config', 'one pool', pools.length);
    const observed = readObserved(path, pool.cost.window);
    const fitted = fitObserved({ pool, observed, router, seed, progress: watch(observed, io) });
    if (io.errIsTerminal) io.err('\r\x1b[2K');
    const calibration = calibrationOf(fitted, caseLabel(pool), path);
    const json = { ...calibrationJson(calibration), residuals: fitted.residuals };
    if (target !== undefined) save(target, jsonText(json));
    io.out(flags.json ? jsonText(json) : calibrationText({ pool, observed, path, fitted, target }));
  });
};

/** Observed prompts have no identity, and looking up what nobody shares is work for nothing. */
const withoutCache = (request: ScenarioRequest): ScenarioRequest => ({
  ...request,
  pools: request.pools.map((pool) => ({
    ...pool,
    options: { ...pool.options, enablePrefixCaching: false },
  })),
});

/** What half of the observations that were held back say of the other half's fit. */
function calibrationOf(
  { coefficients, residuals }: Fitted,
  fittedOn: string,
  path: string,
): Calibration {
  const errors = residuals
    .filter(({ half }) => half === 'held back')
    .map(({ label, metric, after }) => ({
      metric,
      medianPercent: after.medianPercent,
      p90Percent: after.p90Percent,
      basis: `${grouped(after.count)} ${label} of ${path}, held back`,
    }));
  return { coefficients, fittedOn, errors };
}

/** Wall time a fit may take for each 1,000 observations begun. */
const MOST_MS = 25_000;

/** Shows how far it is, and stops it in time. */
function watch(observed: Observed, io: Io): (done: number, most: number) => boolean {
  const count = observed.kind === 'steps' ? observed.steps.length : observed.requests.length;
  const until = performance.now() + MOST_MS * Math.ceil(count / 1000);
  return (done, most) => {
    const text = `fitting ${grouped(count)} ${observed.kind}: run ${done + 1} of at most ${most}`;
    if (io.errIsTerminal) io.err(`\r\x1b[2K${text}`);
    return performance.now() > until;
  };
}

function save(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (cause) {
    throw unwritable('--save-calibration', path, cause);
  }
}
