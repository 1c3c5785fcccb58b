/**
 * `setup-perf`: the performance models of all models on all hardware, in one table; and tables of
 * measured operator times, made, imported and checked.
 */

import { ConfigError } from '../../core/errors.js';
import { grouped, short, table } from '../../report/format.js';
import { jsonText } from '../../report/json.js';
import type { DefineCommand } from '../command.js';
import type { Io } from '../io.js';
import { type PerfRow, perfRow } from '../setup-perf/combinations.js';
import type { CheckedTable } from '../setup-perf/tables.js';
import { addRows } from '../simulate-flags.js';
import { countOf, listOf } from '../values.js';

const MODELS = ['qwen/Qwen3-8B', 'meta-llama/Llama-3.1-8B-Instruct', 'facebook/opt-6.7b'];
/** From the fastest to the slowest memory. */
const HARDWARE = 'H100,A100,RTX4090,RTX3090,V100,L40,A6000,RTX4080,A40,A10,T4'.split(',');

type SetupPerfFlags = Readonly<
  Partial<
    Record<
      | 'model'
      | 'hardware'
      | 'engine'
      | 'dtype'
      | 'quantization'
      | 'kvCacheDtype'
      | 'tensorParallelSize'
      | 'out'
      | 'import'
      | 'format'
      | 'check',
      string
    >
  >
> & { readonly json?: true };

const HELP = `
Without a table flag: what every model needs and does on every GPU, in one table.

Tables of measured times, for --perf-table of simulate, server and explain (docs/tables.md):
  setup-perf --import profiles/RTX4090/meta-llama/Llama-3.1-8B/bf16 --model meta-llama/Llama-3.1-8B-Instruct --out tables
  setup-perf --check tables/Llama-3.1-8B-Instruct_RTX4090_tp1.csv
  setup-perf --model qwen/Qwen3-8B --hardware H100 --out tables

Formats of --import, recognised by their files:
  llmservingsim  a profile bundle: a folder with meta.yaml and tp<N>/dense.csv, per_sequence.csv, attention.csv, moe.csv
  vidur          folders with mlp.csv, attention.csv, all_reduce.csv, with commas between
  steps          a CSV with prefill_tokens,prefill_history,num_decodes,decode_context,step_ms`;

export const defineSetupPerf: DefineCommand = (command, io) => {
  addRows(command, 'What:', [
    ['--model <names>', `models, with commas between (${MODELS.join(',')})`],
    ['--hardware <names>', `GPUs, with commas between (${HARDWARE.join(',')})`],
    ['--json', 'as JSON'],
  ]);
  addRows(command, 'Tables of operator times:', [
    ['--out <dir>', 'write tables there: the analytic model, or what is imported; or a .csv'],
    ['--import <paths>', 'what a profiler measured; without --out it is only checked'],
    ['--format <name>', 'of what is imported: llmservingsim, vidur, steps (recognised)'],
    [
      '--check <file>',
      'ranges of a table, points that cannot be, difference to the analytic model',
    ],
    ['--tensor-parallel-size <n>', 'of the table: 1, or all that were measured'],
    ['--engine <name>', 'whose software'],
    ['--dtype <name>', 'of weights and activations'],
    ['--quantization <name>', 'scheme of the weights'],
    ['--kv-cache-dtype <name>', 'auto or fp8'],
  ]);
  command.addHelpText('after', HELP);
  command.action(async (flags: SetupPerfFlags) => {
    if (flags.out ?? flags.import ?? flags.check ?? flags.format) return perfTables(flags, io);
    const { model, hardware, json } = flags;
    refuseWithoutTable(flags);
    const models = model === undefined ? MODELS : listOf('--model', model);
    const gpus = hardware === undefined ? HARDWARE : listOf('--hardware', hardware);
    const rows = build(models, gpus, io);
    io.out(json ? jsonText(rows) : text(models, rows));
  });
};

/** Flags that say what a table is of mean nothing without one. */
function refuseWithoutTable(flags: SetupPerfFlags): void {
  const names = ['tensorParallelSize', 'engine', 'dtype', 'quantization', 'kvCacheDtype'] as const;
  const given = names.find((name) => flags[name] !== undefined);
  if (given === undefined) return;
  const flag = `--${given.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  throw new ConfigError(flag, '--out DIR beside it, to write a table', flags[given]);
}

async function perfTables(flags: SetupPerfFlags, io: Io): Promise<void> {
  const { tableJson, tableText } = await import('../setup-perf/table-text.js');
  const checks = await tablesOf(flags);
  io.out(flags.json ? jsonText(checks.map(tableJson)) : tableText(checks));
}

async function tablesOf(flags: SetupPerfFlags): Promise<CheckedTable[]> {
  const tables = await import('../setup-perf/tables.js');
  const { model, hardware, out } = flags;
  if (flags.check !== undefined) {
    const other = (['out', 'import', 'format', 'model', 'hardware'] as const).find(
      (name) => flags[name],
    );
    if (other) throw new ConfigError('--check', `no --${other} beside it`, flags[other]);
    return [tables.checkFile(flags.check)];
  }
  if (out !== undefined) tables.checkOut(out);
  const given = {
    ...flags,
    tensorParallelSize:
      flags.tensorParallelSize === undefined
        ? undefined
        : countOf('--tensor-parallel-size', flags.tensorParallelSize),
  };
  if (flags.import === undefined) {
    if (out === undefined) throw new ConfigError('--format', '--import beside it', flags.format);
    for (const field of ['model', 'hardware'] as const) {
      if (flags[field] === undefined) throw new ConfigError(`--${field}`, 'a name', undefined);
    }
    const models = listOf('--model', model!);
    const pairs = models.flatMap((m) =>
      listOf('--hardware', hardware!).map((h) => [m, h] as const),
    );
    return pairs.map(([m, h]) => {
      const made = tables.generated(m, h, given);
      return tables.saved(out, tables.checked(made.table, made.pool), pairs.length === 1);
    });
  }
  const found = tables.imported(listOf('--import', flags.import), flags.format, given);
  return out === undefined
    ? found
    : found.map((check) => tables.saved(out, check, found.length === 1));
}

function build(models: readonly string[], gpus: readonly string[], io: Io): PerfRow[] {
  const rows: PerfRow[] = [];
  const total = models.length * gpus.length;
  for (const model of models) {
    for (const gpu of gpus) {
      rows.push(perfRow(model, gpu));
      if (io.errIsTerminal) io.err(`\r${rows.length} of ${total} combinations\x1b[K`);
    }
  }
  if (io.errIsTerminal) io.err('\r\x1b[K');
  return rows;
}

const HEADER = [
  '  hardware',
  'GPUs',
  'KV tokens',
  'prefill 1k',
  'per token',
  'per token of 32',
  'tokens/s of 32',
];

function text(models: readonly string[], rows: readonly PerfRow[]): string {
  const lines = models.flatMap((model) => [
    model,
    ...table([HEADER, ...rows.filter((row) => row.model === model).map(cells)]),
    '',
  ]);
  return [
    ...lines,
    `${rows.length} combinations. GPUs: the fewest that hold the model (tensor parallel) and 2,048 tokens of KV.`,
    'Prefill: a prompt of 1,024 tokens, alone. Per token: one request at 1,024 tokens of context, and one of 32 (–: KV does not hold them).',
    'Times come from the analytic model (docs/cost-model.md), which server and simulate use as well.',
    '',
    'Next: llmservingsim server --model qwen/Qwen3-8B --hardware A100',
    '',
  ].join('\n');
}

const cells = (row: PerfRow): string[] =>
  row.num_gpus === undefined
    ? [`  ${row.hardware}`, 'not on 8 either']
    : [
        `  ${row.hardware}`,
        String(row.num_gpus),
        grouped(row.kv_tokens),
        `${short(row.prefill_ms)} ms`,
        `${short(row.decode_ms_1)} ms`,
        row.decode_ms_32 === undefined ? '–' : `${short(row.decode_ms_32)} ms`,
        row.output_tokens_per_s === undefined ? '–' : grouped(row.output_tokens_per_s),
      ];
