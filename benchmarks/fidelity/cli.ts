/**
 * `npm run fidelity -- --data DIR [--split FILE] [--json OUT] [--leave-one-out] [--refit FILE] [--docs]`
 *
 * Replays published measurements through the engine and prints how far off they are; and the functions of single operators, where there are
 * tables of them in or beside the folder.
 *   --split FILE      only the rows listed in it, `file.csv:line` each: a held-back part
 *   --leave-one-out   constants refitted without each GPU, model family and source, tested on it
 *   --refit FILE      moves the constants to fit all rows, and writes them
 *   --write           with --refit: puts them into perf_model as well
 *   --docs            writes docs/fidelity.md and its plot
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { ConfigError } from '../../src/core/errors.js';
import type { Case } from './case.js';
import { type Axis, type LeftOut, leaveOneOut } from './cross-validation.js';
import { writeDocs } from './docs.js';
import { errorTable, markdown } from './errors.js';
import {
  descend,
  type Linearised,
  linearise,
  objective,
  polish,
  type Residual,
  residualsOf,
} from './fit.js';
import { kernelTable, tablesOf } from './kernels.js';
import { type Mapped, mapRows } from './mapping.js';
import { Model } from './parameters.js';
import { type Row, readRows } from './rows.js';
import { sample } from './sample.js';
import { leftOutTables, targetTable } from './tables.js';
import { writeConstants } from './write-constants.js';

const OPTIONS = {
  data: { type: 'string' },
  split: { type: 'string' },
  json: { type: 'string' },
  'leave-one-out': { type: 'boolean', default: false },
  refit: { type: 'string' },
  write: { type: 'boolean', default: false },
  docs: { type: 'boolean', default: false },
} as const;

function main(): void {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.data === undefined)
    throw new ConfigError('--data', 'a folder of measurements (CSV)', undefined);
  const rows = withSplit(readRows(values.data), values.split);
  const mapped = mapRows(rows);
  const model = new Model([...new Set(mapped.cases.map((c) => c.engine))]);
  const start = model.parameters.map((p) => p.start);
  let residuals = residualsOf(mapped.cases, model, start);
  console.log(printed(rows, mapped, residuals));
  let leftOut: readonly LeftOut[] = [];
  if (values['leave-one-out'] || values.refit !== undefined) {
    const fitted = sample(mapped.cases);
    const derivatives = (from: readonly number[]): Linearised =>
      linearise(fitted, model, from, (done) =>
        process.stderr.write(`\rderivatives ${done}/${model.parameters.length} `),
      );
    let l = derivatives(start);
    if (values.refit !== undefined) {
      l = converged(l, fitted, model, derivatives);
      const moved = Object.fromEntries(model.parameters.map((p, i) => [p.name, l.values[i]!]));
      writeFileSync(values.refit, `${JSON.stringify(moved, null, 1)}\n`);
      if (values.write) writeConstants(moved);
      residuals = residualsOf(mapped.cases, model, l.values);
      console.log(`\n## Refitted\n\n${targetTable(residuals)}`);
    }
    if (values['leave-one-out']) {
      const axes: readonly Axis[] = ['gpu', 'family', 'source'];
      leftOut = axes.flatMap((axis) =>
        leaveOneOut(l, fitted, mapped.cases, model, axis, (left) =>
          process.stderr.write(`\rwithout ${left}`.padEnd(40)),
        ),
      );
      console.log(`\n## Left out\n\n${leftOutTables(leftOut)}`);
    }
  }
  const folder = tablesOf(values.data);
  const operators = folder === undefined ? undefined : kernelTable(folder);
  if (operators !== undefined) console.log(`\n## Operators\n\n${operators}`);
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify(result(mapped, residuals, leftOut), null, 1)}\n`);
  if (values.docs) writeDocs(mapped, residuals, leftOut, operators);
}

function withSplit(rows: readonly Row[], split: string | undefined): readonly Row[] {
  if (split === undefined) return rows;
  const wanted = new Set(readFileSync(split, 'utf8').split(/\s+/));
  return rows.filter((row) => wanted.has(`${basename(row.file)}:${row.line}`));
}

/** Every round costs a simulation per constant and case. */
const MOST_ROUNDS = 4;

/** Downhill with new derivatives until they lead nowhere, then one parameter at a time. */
function converged(
  from: Linearised,
  cases: readonly Case[],
  model: Model,
  derivatives: (values: readonly number[]) => Linearised,
): Linearised {
  let l = from;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const before = objective(l.residuals, model, l.values);
    const found = descend(l, cases, model);
    const after = objective(found.residuals, model, found.values);
    process.stderr.write(`objective ${before.toFixed(1)} to ${after.toFixed(1)}\n`);
    if (after > 0.995 * before) {
      l = found;
      break;
    }
    l = derivatives(found.values);
  }
  return polished(l, cases, model);
}

function polished(from: Linearised, cases: readonly Case[], model: Model): Linearised {
  const before = objective(from.residuals, model, from.values);
  const l = polish(from, cases, model, (done) =>
    process.stderr.write(`\rpolished ${done}/${model.parameters.length} `),
  );
  const after = objective(l.residuals, model, l.values);
  process.stderr.write(`objective ${before.toFixed(1)} to ${after.toFixed(1)}\n`);
  return l;
}

function printed(rows: readonly Row[], mapped: Mapped, residuals: readonly Residual[]): string {
  const unmapped = [...mapped.unmapped].map(
    ([reason, list]) => `  ${String(list.length).padStart(5)}  ${reason}`,
  );
  const refused = mapped.cases.reduce((n, c) => n + c.comparisons.length, 0) - residuals.length;
  return [
    `${rows.length} rows: ${residuals.length} predicted, ${refused} refused by the simulator, ${[...mapped.unmapped.values()].flat().length} unmapped:`,
    ...unmapped,
    '',
    markdown(
      ['source', 'metric', 'GPU', 'model', 'precision'],
      errorTable(residuals, (r) => [
        r.case.source,
        r.comparison.metric,
        r.case.gpu.name,
        r.case.model.name,
        r.case.precision,
      ]),
    ),
    '',
    markdown(
      ['source', 'metric', 'engine', 'GPU'],
      errorTable(residuals, (r) => [
        r.case.source,
        r.comparison.metric,
        r.case.engine,
        r.case.gpu.name,
      ]),
    ),
    '',
    targetTable(residuals),
  ].join('\n');
}

/** Everything, for other programs. */
function result(
  mapped: Mapped,
  residuals: readonly Residual[],
  leftOut: readonly LeftOut[],
): unknown {
  const row = (r: Residual) => ({
    source: r.case.source,
    file: basename(r.comparison.row.file),
    line: r.comparison.row.line,
    model: r.case.model.name,
    gpu: r.case.gpu.name,
    engine: r.case.engine,
    precision: r.case.precision,
    metric: r.comparison.metric,
    measured: r.comparison.measured,
    predicted: r.predicted,
  });
  return {
    unmapped: Object.fromEntries(
      [...mapped.unmapped].map(([reason, list]) => [reason, list.length]),
    ),
    rows: residuals.map(row),
    left_out: leftOut.map((r) => ({ axis: r.axis, left: r.left, ...row(r) })),
  };
}

try {
  main();
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
