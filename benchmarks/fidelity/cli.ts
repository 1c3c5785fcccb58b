/**
 * `npm run fidelity -- --data DIR [--split FILE] [--json OUT] [--leave-one-out] [--refit FILE] [--docs]`
 *
 * Replays published measurements through the engine and prints how far off they are.
 *   --split FILE      only the rows listed in it, `file.csv:line` each: a held-back part
 *   --leave-one-out   constants refitted without each GPU, model family and source, tested on it
 *   --refit FILE      moves the constants to fit all rows, and writes them
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
import { linearise, loss, type Residual, residualsOf, step } from './fit.js';
import { type Mapped, mapRows } from './mapping.js';
import { Model } from './parameters.js';
import { type Row, readRows } from './rows.js';
import { leftOutTables, targetTable } from './tables.js';

const OPTIONS = {
  data: { type: 'string' },
  split: { type: 'string' },
  json: { type: 'string' },
  'leave-one-out': { type: 'boolean', default: false },
  refit: { type: 'string' },
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
  const residuals = residualsOf(mapped.cases, model, start);
  console.log(printed(rows, mapped, residuals));
  let leftOut: readonly LeftOut[] = [];
  if (values['leave-one-out'] || values.refit !== undefined) {
    const fitted = sample(mapped.cases);
    const l = linearise(fitted, model, start, (done) =>
      process.stderr.write(`\rderivatives ${done}/${model.parameters.length}`),
    );
    process.stderr.write('\n');
    if (values.refit !== undefined) writeFileSync(values.refit, refitted(l, fitted, model));
    if (values['leave-one-out']) {
      const axes: readonly Axis[] = ['gpu', 'family', 'source'];
      leftOut = axes.flatMap((axis) => leaveOneOut(l, mapped.cases, model, axis));
      console.log(`\n## Left out\n\n${leftOutTables(leftOut)}`);
    }
  }
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify(result(mapped, residuals, leftOut), null, 1)}\n`);
  if (values.docs) writeDocs(mapped, residuals, leftOut);
}

function withSplit(rows: readonly Row[], split: string | undefined): readonly Row[] {
  if (split === undefined) return rows;
  const wanted = new Set(readFileSync(split, 'utf8').split(/\s+/));
  return rows.filter((row) => wanted.has(`${basename(row.file)}:${row.line}`));
}

/** At most 14 cases of a group, evenly, and none of tens of thousands of requests: what a fit needs. */
export function sample(cases: readonly Case[], most = 14): Case[] {
  const groups = new Map<string, Case[]>();
  for (const c of cases) {
    if (c.load.kind !== 'step' && c.load.numRequests > 4000) continue;
    const key = [c.source, c.gpu.name, c.engine, c.model.moe !== undefined].join('|');
    groups.set(key, [...(groups.get(key) ?? []), c]);
  }
  return [...groups.values()].flatMap((group) => {
    const stride = Math.max(1, group.length / most);
    return group.filter((_, i) => Math.floor(i / stride) !== Math.floor((i - 1) / stride));
  });
}

function refitted(l: ReturnType<typeof linearise>, cases: readonly Case[], model: Model): string {
  const goal = step(l, model, () => true);
  let best = { values: l.values, loss: loss(l.residuals) };
  for (const share of [1, 0.4, 0.15]) {
    const values = l.values.map((v, i) => v * (goal[i]! / v) ** share);
    const found = loss(residualsOf(cases, model, values));
    if (found < best.loss) best = { values, loss: found };
  }
  return `${JSON.stringify(Object.fromEntries(model.parameters.map((p, i) => [p.name, best.values[i]])), null, 1)}\n`;
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
