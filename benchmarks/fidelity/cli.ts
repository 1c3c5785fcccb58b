/**
 * `npm run fidelity -- --data DIR`: replays published measurements through the engine and prints how far off they are; and
 * the functions of single operators, where there are tables of them in or beside the folder. `--help` says the rest.
 */

import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { Command } from 'commander';
import { endWithReader } from '../../src/cli/io.js';
import { ConfigError } from '../../src/core/errors.js';
import type { Case } from './case.js';
import { type Axis, type LeftOut, leaveOneOut } from './cross-validation.js';
import { writeDocs } from './docs.js';
import { errorTable, markdown } from './errors.js';
import { descend, type Linearised, linearise, polish } from './fit.js';
import { kernelTable, tablesOf } from './kernels.js';
import { type Mapped, mapRows } from './mapping.js';
import { objective } from './objective.js';
import { Model } from './parameters.js';
import { type Residual, residualsOf, type Simulated, simulate } from './residuals.js';
import { COLUMNS, heldBack, type Row, readRows } from './rows.js';
import { sample } from './sample.js';
import { leftOutTables, targetTable } from './tables.js';
import { writeConstants } from './write-constants.js';

interface Options {
  readonly data: string;
  readonly split?: string;
  readonly json?: string;
  readonly leaveOneOut?: boolean;
  readonly refit?: string;
  readonly write?: boolean;
  readonly docs?: boolean;
}

const command = new Command('npm run fidelity --')
  .description(
    'Replays measurements of real servers through the engine, and prints how far off it is.',
  )
  .requiredOption('--data <dir>', 'folder of CSV files, or one with such a folder called e2e')
  .option('--split <file>', 'only the rows it lists, as file.csv:line: a part held back')
  .option('--json <out>', 'writes every row with its prediction')
  .option(
    '--leave-one-out',
    'refits without each GPU, family of models and source, and tests on it (10 minutes)',
  )
  .option('--refit <out>', 'moves the constants to fit all rows, and writes them (5 minutes)')
  .option('--write', 'with --refit: puts them into perf_model as well')
  .option('--docs', 'writes docs/fidelity.md and its plot')
  .addHelpText(
    'after',
    `
Columns of a CSV file: ${COLUMNS.join(', ')}.
Rows of a source that has no mapping of its own are simulated as their columns say
(benchmarks/fidelity/sources/plain.ts); rows that cannot be are counted, with the reason.

Example: npm run fidelity -- --data ../shared/data --json fidelity.json`,
  )
  .action(run);

function run(options: Options): void {
  const all = readRows(options.data);
  const rows = options.split === undefined ? all : heldBack(all, options.split);
  const mapped = mapRows(rows);
  const model = new Model([...new Set(mapped.cases.map((c) => c.engine))]);
  const start = model.parameters.map((p) => p.start);
  const simulated = simulate(mapped.cases, model, start, (done) => {
    if (done % 100 === 0) process.stderr.write(`\rsimulated ${done}/${mapped.cases.length} `);
  });
  process.stderr.write(`\r${' '.repeat(30)}\r`);
  let { residuals } = simulated;
  console.log(printed(rows, mapped, simulated));
  let leftOut: readonly LeftOut[] = [];
  if (options.leaveOneOut || options.refit !== undefined) {
    const fitted = sample(mapped.cases);
    const derivatives = (from: readonly number[]): Linearised =>
      linearise(fitted, model, from, (done) =>
        process.stderr.write(`\rderivatives ${done}/${model.parameters.length} `),
      );
    let l = derivatives(start);
    if (options.refit !== undefined) {
      l = converged(l, fitted, model, derivatives);
      const moved = Object.fromEntries(model.parameters.map((p, i) => [p.name, l.values[i]!]));
      writeFileSync(options.refit, `${JSON.stringify(moved, null, 1)}\n`);
      if (options.write) writeConstants(moved);
      residuals = residualsOf(mapped.cases, model, l.values);
      console.log(`\n## Refitted\n\n${targetTable(residuals)}`);
    }
    if (options.leaveOneOut) {
      // Where a refit ended it has no derivatives of its own yet.
      if (options.refit !== undefined) l = derivatives(l.values);
      const axes: readonly Axis[] = ['gpu', 'family', 'source'];
      leftOut = axes.flatMap((axis) =>
        leaveOneOut(l, fitted, mapped.cases, model, axis, (left) =>
          process.stderr.write(`\rwithout ${left}`.padEnd(40)),
        ),
      );
      console.log(`\n## Left out\n\n${leftOutTables(leftOut)}`);
    }
  }
  const folder = tablesOf(options.data);
  const operators = folder === undefined ? undefined : kernelTable(folder);
  if (operators !== undefined) console.log(`\n## Operators\n\n${operators}`);
  if (options.json !== undefined)
    writeFileSync(options.json, `${JSON.stringify(result(mapped, residuals, leftOut), null, 1)}\n`);
  if (options.docs) writeDocs(mapped, residuals, leftOut, operators);
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

const total = (counts: Iterable<number>): number => [...counts].reduce((sum, n) => sum + n, 0);

function printed(
  rows: readonly Row[],
  { unmapped }: Mapped,
  { residuals, refused }: Simulated,
): string {
  const list = (counts: ReadonlyMap<string, number>): string[] =>
    [...counts].map(([reason, n]) => `  ${String(n).padStart(5)}  ${reason}`);
  return [
    `${rows.length} rows: ${residuals.length} predicted, ${total(refused.values())} refused by the simulator, ${total(unmapped.values())} unmapped:`,
    ...list(refused),
    ...list(unmapped),
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
    unmapped: Object.fromEntries(mapped.unmapped),
    rows: residuals.map(row),
    left_out: leftOut.map((r) => ({ axis: r.axis, left: r.left, ...row(r) })),
  };
}

endWithReader(process.stdout);

try {
  command.parse();
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
