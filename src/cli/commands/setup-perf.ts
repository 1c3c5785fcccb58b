/** `setup-perf`: the performance models of all models on all hardware, built and shown in one table. */

import { grouped, short, table } from '../../report/format.js';
import { jsonText } from '../../report/result-json.js';
import type { DefineCommand } from '../command.js';
import type { Io } from '../io.js';
import { type PerfRow, perfRow } from '../setup-perf-table.js';
import { listOf } from '../values.js';

const MODELS = ['qwen/Qwen3-8B', 'meta-llama/Llama-3.1-8B-Instruct', 'facebook/opt-6.7b'];
/** From the fastest to the slowest memory. */
const HARDWARE = 'H100,A100,RTX4090,RTX3090,V100,L40,A6000,RTX4080,A40,A10,T4'.split(',');

interface SetupPerfFlags {
  readonly model?: string;
  readonly hardware?: string;
  readonly json?: true;
}

export const defineSetupPerf: DefineCommand = (command, io) => {
  command
    .option('--model <names>', `models, with commas between (${MODELS.join(',')})`)
    .option('--hardware <names>', `GPUs, with commas between (${HARDWARE.join(',')})`)
    .option('--json', 'as JSON')
    .action(({ model, hardware, json }: SetupPerfFlags) => {
      const models = model === undefined ? MODELS : listOf('--model', model);
      const gpus = hardware === undefined ? HARDWARE : listOf('--hardware', hardware);
      const rows = build(models, gpus, io);
      io.out(json ? jsonText(rows) : text(models, rows));
    });
};

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
