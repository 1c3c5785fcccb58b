/**
 * `npm run parity -- DIR [--only basic] [--kind K] [--trace NAME]`: replays golden traces with the
 * oracle and with the engine, and compares every decision.
 *
 * Prints a table per kind and the first difference of every trace that differs; exits 1 if any does.
 */

import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { ConfigError } from '../../src/core/errors.js';
import { replay } from '../support/oracle/replay.js';
import { engineReplayers } from './engine-replay.js';
import {
  compare,
  type Difference,
  type GoldenTrace,
  isBasic,
  listTraces,
  type Replay,
  type Replayer,
  readTrace,
} from './golden.js';

const oracle: Replayer = { name: 'oracle', detail: 'full', replay };

interface Tally {
  scenarios: number;
  equal: number[];
  different: number[];
}

function main(): number {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { only: { type: 'string' }, kind: { type: 'string' }, trace: { type: 'string' } },
  });
  if (positionals.length !== 1) {
    throw new ConfigError('DIR', 'one folder with golden traces', positionals.join(' ') || 'none');
  }
  if (values.only !== undefined && values.only !== 'basic') {
    throw new ConfigError('--only', 'basic', values.only);
  }
  const folder = positionals[0]!;
  const chosen = listTraces(folder)
    .filter((file) => !values.trace || basename(file, '.jsonl') === values.trace)
    .map(readTrace)
    .filter(({ scenario }) => !values.only || isBasic(scenario))
    .filter(({ scenario }) => !values.kind || scenario.kind === values.kind);
  if (chosen.length === 0) {
    const filter = JSON.stringify({ ...values });
    throw new ConfigError('DIR', `traces in it that match ${filter}`, 'none');
  }

  const replayers = [oracle, ...engineReplayers];
  const tallies = new Map<string, Tally>();
  const differences: string[] = [];
  for (const trace of chosen) {
    const tally = tallies.get(trace.scenario.kind) ?? {
      scenarios: 0,
      equal: replayers.map(() => 0),
      different: replayers.map(() => 0),
    };
    tallies.set(trace.scenario.kind, tally);
    tally.scenarios += 1;
    replayers.forEach((replayer, i) => {
      if (replayer.supports?.(trace.scenario) === false) return;
      const difference = check(replayer, trace);
      if (!difference) {
        tally.equal[i]! += 1;
        return;
      }
      tally.different[i]! += 1;
      differences.push(describe(replayer, difference));
    });
  }
  process.stdout.write(table(replayers, tallies));
  if (differences.length > 0) process.stdout.write(`\n${differences.join('\n')}\n`);
  return differences.length > 0 ? 1 : 0;
}

/** Replays one trace; a replayer that throws differs as well. */
function check(replayer: Replayer, trace: GoldenTrace): Difference | undefined {
  let actual: Replay;
  try {
    actual = replayer.replay(trace.scenario);
  } catch (error) {
    const got = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return { trace: trace.scenario.name, step: 'summary', field: 'run', expected: 'an end', got };
  }
  if (replayer.detail === 'full' && !actual.lines) {
    const { name } = trace.scenario;
    return { trace: name, step: 'summary', field: 'lines', expected: 'step lines', got: 'none' };
  }
  return compare(trace, actual, replayer.without);
}

function describe(replayer: Replayer, { trace, step, field, expected, got }: Difference): string {
  const where = step === 'summary' ? 'summary' : `step ${step}`;
  return [
    `${replayer.name}: ${trace}, ${where}, ${field}`,
    `  expected ${JSON.stringify(expected) ?? 'nothing'}`,
    `  got      ${JSON.stringify(got) ?? 'nothing'}`,
  ].join('\n');
}

/** One row per kind: scenarios, then equal and different for every replayer. */
function table(replayers: readonly Replayer[], tallies: ReadonlyMap<string, Tally>): string {
  const sum = (pick: (tally: Tally) => number) =>
    [...tallies.values()].reduce((total, tally) => total + pick(tally), 0);
  const header = ['kind', 'scenarios', ...replayers.flatMap(({ name }) => [name, 'different'])];
  const rows = [...tallies]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([kind, tally]) => [
      kind,
      tally.scenarios,
      ...replayers.flatMap((_, i) => [tally.equal[i]!, tally.different[i]!]),
    ]);
  const total = [
    'all',
    sum((tally) => tally.scenarios),
    ...replayers.flatMap((_, i) => [
      sum((tally) => tally.equal[i]!),
      sum((tally) => tally.different[i]!),
    ]),
  ];
  const cells = [header, ...rows, total].map((row) => row.map(String));
  const widths = header.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const lines = cells.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  '),
  );
  const missing = replayers.flatMap(({ name, without }) =>
    without?.length ? [`${name} does not tell: ${without.join(', ')}`] : [],
  );
  return `${[...lines, ...missing].join('\n')}\n`;
}

try {
  process.exitCode = main();
} catch (error) {
  if (!(error instanceof ConfigError) && !(error instanceof TypeError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
