/** What a run of conversations leaves behind: text or JSON, statistics, the conversations, a workbook. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type ClientHealth,
  healthJson,
  healthLine,
  healthWarnings,
} from '../../bench/client-health.js';
import { type FailureClass, FailureCounts, failureLine } from '../../bench/failures.js';
import type { Played } from '../../bench/multi-turn/play.js';
import { type RunSummary, sheetsOf } from '../../bench/multi-turn/sheets.js';
import {
  byTurn,
  byTurnText,
  rowsOf,
  statisticsOf,
  statisticsText,
} from '../../bench/multi-turn/statistics.js';
import { excelWriter, writeWorkbook } from '../../bench/multi-turn/workbook.js';
import { grouped, short } from '../../report/format.js';
import { jsonText } from '../../report/json.js';
import { checkOutput, unwritable } from '../../report/output-file.js';
import { type ExitCode, FAILED, INTERRUPTED, type Io, OK } from '../io.js';
import type { Flags, Reader } from '../simulate-flags.js';

/** What was asked for, and how the client was. */
export interface MultiTurnRun {
  readonly flags: Flags;
  readonly given: Reader;
  readonly io: Io;
  readonly numClients: number;
  readonly input: string;
  readonly model: string;
  readonly percentages: readonly number[];
  readonly health: ClientHealth;
}

/** Tells a run, writes its files; how the command ends. */
export async function tellRun(
  played: Played,
  run: MultiTurnRun,
  stopped: boolean,
): Promise<ExitCode> {
  const { flags, given, io, numClients, percentages, health } = run;
  const rows = rowsOf(played);
  const runtimeS = played.runtimeMs / 1e3;
  const failed = played.turns.length - rows.length;
  const parameters = {
    model: run.model,
    input_file: run.input,
    num_clients: numClients,
    runtime_sec: runtimeS,
    requests_per_sec: rows.length / runtimeS,
    ...(played.warmUpMs > 0 && {
      warmup_runtime_sec: played.warmUpMs / 1e3,
      total_runtime_incl_warmup_sec: runtimeS + played.warmUpMs / 1e3,
    }),
    completed: rows.length,
    failed,
  };
  const summary: RunSummary = { parameters, rows, statistics: statisticsOf(rows, percentages) };
  const json = () =>
    jsonText({
      ...parameters,
      statistics: summary.statistics.map(({ warmupPercent, columns }) => ({
        warmup_percent: warmupPercent,
        ...columns,
      })),
      per_turn: byTurn(rows),
      failures: failuresOf(played),
      client: { ...healthJson(health), warnings: healthWarnings(health) },
    });
  io.out(flags.json ? json() : text(summary, played) + healthText(health));
  save('--stats-json-output', given.text('stats_json_output'), json);
  save('--output-file', given.text('output_file'), () => jsonText(played.conversations));
  if (flags.excelOutput) await saveWorkbook(summary, run);
  if (stopped) return INTERRUPTED;
  return rows.length > 0 ? OK : FAILED;
}

async function saveWorkbook(summary: RunSummary, run: MultiTurnRun): Promise<void> {
  const { flags, given, io, numClients, health } = run;
  const writer = await excelWriter();
  if (!writer) io.err('The writer of Excel files is not installed: CSV files instead.\n');
  const name = `statistics_${numClients}_clients__${dayStamp(new Date())}`;
  const base = join(given.text('result_dir') ?? '.', name);
  checkOutput('--result-dir', `${base}.${writer ? 'xlsx' : 'csv'}`);
  const parameters = { ...summary.parameters, ...healthJson(health) };
  const files = await writeWorkbook(base, sheetsOf({ ...summary, parameters }), writer);
  if (!flags.json) io.out(`Written: ${files.join(', ')}\n`);
}

function text({ parameters, statistics, rows }: RunSummary, played: Played): string {
  const lines = Object.entries(parameters).map(
    ([name, value]) =>
      `${name}: ${typeof value !== 'number' ? value : Number.isInteger(value) ? grouped(value) : short(value)}`,
  );
  const parts = statistics.map(
    (part) =>
      `${part.warmupPercent > 0 ? `Without the first ${part.warmupPercent} %:\n` : ''}${statisticsText(part)}`,
  );
  const failures = failuresOf(played).map((failure) => `${failureLine(failure)}\n`);
  const turns = rows.length > 0 ? `By messages sent:\n${byTurnText(byTurn(rows))}` : '';
  return `${lines.join('\n')}\n\n${[...parts, turns].join('\n')}${failures.join('')}`;
}

const healthText = (health: ClientHealth): string =>
  [healthLine(health), ...healthWarnings(health).map((warning) => `Warning: ${warning}.`), ''].join(
    '\n',
  );

function failuresOf({ turns }: Played): FailureClass[] {
  const failures = new FailureCounts();
  for (const { record } of turns) if (record.failure) failures.add(record.failure);
  return failures.classes();
}

function save(flag: string, path: string | undefined, content: () => string): void {
  if (path === undefined) return;
  try {
    writeFileSync(path, content());
  } catch (cause) {
    throw unwritable(flag, path, cause);
  }
}

/** `28-10-2025_13-45-01`, as vLLM names its files. */
function dayStamp(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const day = [two(date.getDate()), two(date.getMonth() + 1), date.getFullYear()].join('-');
  return `${day}_${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join('-')}`;
}
