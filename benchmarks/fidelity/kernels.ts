/**
 * Operator tables against the cost model's functions.
 *
 * One shape of function per operator for all GPUs; its three or four constants are fitted to each table,
 * half of the rows (every other one) fit, the other half is scored. Calls under 50 µs are left out: there
 * launches decide, which a step pays differently inside a CUDA graph.
 */

import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { GpuSpec } from '../../src/core/model/gpu.js';
import { softMax } from '../../src/core/perf/operator.js';
import { markdown, summary } from './errors.js';
import { minimise } from './minimise.js';
import { findGpu } from './names.js';

/** One measured call: what it computes and moves, and how long it took. */
interface Call {
  readonly seconds: number;
  /** Features of the operator: `predict` knows their order. */
  readonly x: readonly number[];
}

interface Operator {
  readonly name: string;
  /** Percent of median error that is aimed at. */
  readonly aim: number;
  /** Constants to start from: fractions, seconds or exponents. */
  readonly start: readonly number[];
  predict(x: readonly number[], c: readonly number[], gpu: GpuSpec): number;
}

type Line = Readonly<Record<string, string>>;

interface Table {
  readonly operator: Operator;
  readonly gpu: string;
  readonly file: string;
  call(line: Line): Call | undefined;
}

const LEAST_SECONDS = 50e-6;

/** x = FLOP, bytes. */
const GEMM: Operator = {
  name: 'GEMM',
  aim: 9,
  start: [0.8, 0.85, 7e-6, 2],
  predict: ([flop, bytes], [compute, memory, launch, p], gpu) =>
    launch! +
    softMax(
      flop! / (gpu.peak.fp16 * Math.min(1, compute!)),
      bytes! / (gpu.memoryBytesPerS * Math.min(1, memory!)),
      Math.max(1, p!),
    ),
};
/** x = KV bytes, sequences × KV heads. */
const DECODE_ATTENTION: Operator = {
  name: 'decode attention',
  aim: 10,
  start: [0.85, 10e-6, 10e-9],
  predict: ([bytes, heads], [memory, launch, each], gpu) =>
    launch! + bytes! / (gpu.memoryBytesPerS * Math.min(1, memory!)) + each! * heads!,
};
/** x = FLOP of causal pairs, FLOP of one pair per token. */
const PREFILL_ATTENTION: Operator = {
  name: 'prefill attention',
  aim: 14,
  start: [0.6, 100, 16e-6, 0.8],
  predict: ([pairs, token], [compute, diagonal, launch, q], gpu) =>
    softMax(
      (pairs! + diagonal! * token!) / (gpu.peak.fp16 * Math.min(1, compute!)),
      launch!,
      Math.min(1, q!),
    ),
};
/** x = bytes over the link, ranks beyond two. */
const ALL_REDUCE: Operator = {
  name: 'all-reduce',
  aim: 12,
  start: [5e-6, 0.3e-6, 0.55, 0.75],
  predict: ([bytes, ranks], [alpha, each, fraction, q], gpu) =>
    softMax(
      alpha! + each! * ranks!,
      bytes! / (gpu.link.bytesPerS * Math.min(1, fraction!)),
      Math.min(1, q!),
    ),
};

/** The same function for the library that takes over where messages are large. */
const NCCL: Operator = {
  ...ALL_REDUCE,
  name: 'all-reduce, NCCL',
  start: [8e-6, 1.5e-6, 0.78, 0.65],
};

/** The same over PCIe, between pairs of linked GPUs. */
const PCIE: Operator = {
  ...ALL_REDUCE,
  name: 'all-reduce, PCIe',
  start: [26e-6, 1e-9, 0.76, 0.8],
};

const n = (line: Line, name: string): number => Number(line[name]);
const gemmCall = (seconds: number, m: number, columns: number, inner: number): Call | undefined =>
  columns * inner < 12e6 || m > 8192
    ? undefined
    : { seconds, x: [2 * m * columns * inner, 2 * (columns * inner + m * (columns + inner))] };

function tables(): Table[] {
  const aic = (gpu: string, file: string, operator: Operator, call: Table['call']): Table => ({
    gpu,
    file: `aiconfigurator/${file}.csv`,
    operator,
    call,
  });
  const gemm = (line: Line): Call | undefined =>
    line.gemm_dtype === 'bfloat16'
      ? gemmCall(n(line, 'latency_ms') / 1e3, n(line, 'm'), n(line, 'n'), n(line, 'k'))
      : undefined;
  const decode = (line: Line): Call | undefined => {
    if (line.kv_cache_dtype !== 'bfloat16') return undefined;
    const sequences = n(line, 'batch_size') * n(line, 'num_key_value_heads');
    return {
      seconds: n(line, 'latency_ms') / 1e3,
      x: [sequences * (n(line, 'isl') + n(line, 'step')) * 4 * n(line, 'head_dim'), sequences],
    };
  };
  const prefill = (line: Line): Call | undefined => {
    if (line.kv_cache_dtype !== 'bfloat16') return undefined;
    const isl = n(line, 'isl');
    const each = 4 * n(line, 'num_heads') * n(line, 'head_dim') * n(line, 'batch_size') * isl;
    return { seconds: n(line, 'latency_ms') / 1e3, x: [(each * (isl + 1)) / 2, each] };
  };
  const reduce = (line: Line): Call | undefined => {
    if (line.backend !== 'vllm_graph') return undefined;
    const ranks = n(line, 'num_gpus');
    // The size column counts elements of two bytes.
    return {
      seconds: n(line, 'latency_ms') / 1e3,
      x: [(2 * (ranks - 1) * 2 * n(line, 'message_size')) / ranks, ranks - 2],
    };
  };
  const nccl = (line: Line): Call | undefined => {
    const ranks = n(line, 'num_gpus');
    if (line.op_name !== 'all_reduce' || line.nccl_dtype !== 'half' || ranks > 8) return undefined;
    return {
      seconds: n(line, 'latency_ms') / 1e3,
      x: [(2 * (ranks - 1) * 2 * n(line, 'message_size')) / ranks, ranks - 2],
    };
  };
  const infersim = (gpu: string): Table[] => [
    {
      gpu,
      file: `infersim/gemm/${gpu.toLowerCase()}/data.csv`,
      operator: GEMM,
      call: (l) => gemmCall(n(l, 'latency_us') / 1e6, n(l, 'm'), n(l, 'n'), n(l, 'k')),
    },
    {
      gpu,
      file: `infersim/mha/decode/${gpu.toLowerCase()}/32-8-128.csv`,
      operator: DECODE_ATTENTION,
      call: (l) =>
        l.kv_dtype === 'bf16'
          ? {
              seconds: n(l, 'latency_us') / 1e6,
              x: [n(l, 'batch_size') * n(l, 'kv_len') * 8 * 4 * 128, n(l, 'batch_size') * 8],
            }
          : undefined,
    },
  ];
  return [
    ...['a100', 'h100'].flatMap((g) => [
      aic(g.toUpperCase(), `${g}_sxm_vllm_0.14.0_gemm`, GEMM, gemm),
      aic(g.toUpperCase(), `${g}_sxm_vllm_0.14.0_generation_attention`, DECODE_ATTENTION, decode),
      aic(g.toUpperCase(), `${g}_sxm_vllm_0.14.0_context_attention`, PREFILL_ATTENTION, prefill),
      aic(g.toUpperCase(), `${g}_sxm_vllm_0.14.0_custom_allreduce`, ALL_REDUCE, reduce),
      aic(g.toUpperCase(), `${g}_sxm_nccl_2.27.3`, NCCL, nccl),
    ]),
    ...infersim('H20').slice(1),
    ...['a100', 'h100'].map(
      (g): Table => ({
        gpu: `${g.toUpperCase()}-PCIe`,
        file: `vidur/network/${g}_pairwise_nvlink/all_reduce.csv`,
        operator: PCIE,
        call: (l) =>
          l.num_workers === '4'
            ? { seconds: n(l, 'time_stats.all_reduce.median') / 1e3, x: [1.5 * n(l, 'size'), 0] }
            : undefined,
      }),
    ),
    ...['a100', 'a40', 'h100'].map(
      (g): Table => ({
        gpu: g.toUpperCase(),
        file: `vidur/compute/${g}/meta-llama/Llama-2-70b-hf/mlp.csv`,
        operator: GEMM,
        call: vidurCall,
      }),
    ),
    {
      gpu: 'RTX4090',
      file: 'llmservingsim/RTX4090/meta-llama/Llama-3.1-8B/bf16/tp1/attention.csv',
      operator: DECODE_ATTENTION,
      call: (l) =>
        l.prefill_chunk === '0'
          ? {
              seconds: n(l, 'time_us') / 1e6,
              x: [n(l, 'n_decode') * n(l, 'kv_decode') * 4096, n(l, 'n_decode') * 8],
            }
          : undefined,
    },
  ];
}

/** The widest GEMM of a Vidur row: the up projection, gated, so twice as wide. */
function vidurCall(line: Line): Call | undefined {
  const columns =
    ((line.use_gated_mlp === 'True' ? 2 : 1) * n(line, 'n_expanded_embd')) /
    n(line, 'num_tensor_parallel_workers');
  return gemmCall(
    n(line, 'time_stats.mlp_up_proj.median') / 1e3,
    n(line, 'num_tokens'),
    columns,
    n(line, 'n_embd'),
  );
}

function readTable(path: string): Line[] {
  const [header, ...lines] = readFileSync(path, 'utf8').trim().split(/\r?\n/);
  const names = header!.split(',');
  return lines.map((line) =>
    Object.fromEntries(line.split(',').map((cell, i) => [names[i]!, cell])),
  );
}

/** The folder of operator tables that belongs to a folder of measurements: itself, inside or beside it. */
export function tablesOf(directory: string): string | undefined {
  const beside = basename(directory) === 'e2e' ? [join(dirname(directory), 'kernel')] : [];
  return [join(directory, 'kernel'), ...beside, directory].find((d) =>
    existsSync(join(d, 'aiconfigurator')),
  );
}

/** As Markdown: each operator on each table, its aim beside. */
export function kernelTable(directory: string): string {
  const rows = tables().flatMap((table) => {
    const path = join(directory, table.file);
    if (!existsSync(path)) return [];
    const gpu = findGpu(table.gpu)!;
    const calls = readTable(path)
      .flatMap((line) => table.call(line) ?? [])
      .filter((call) => call.seconds >= LEAST_SECONDS);
    const error = (call: Call, logs: readonly number[]): number =>
      Math.log(table.operator.predict(call.x, logs.map(Math.exp), gpu) / call.seconds);
    const fitted = thinned(calls.filter((_, i) => i % 2 === 0));
    const logs = minimise(
      (c) => fitted.reduce((sum, call) => sum + Math.sqrt(1 + (error(call, c) / 0.1) ** 2) - 1, 0),
      table.operator.start.map(Math.log),
    );
    const constants = logs.map((x) => Math.exp(x).toPrecision(2)).join(' ');
    const { name, aim } = table.operator;
    return [
      summary(
        [name, gpu.name, table.file.split('/')[0]!, constants, `${aim}`],
        calls.filter((_, i) => i % 2 === 1).map((call) => error(call, logs)),
      ),
    ];
  });
  return markdown(['operator', 'GPU', 'table', 'constants', 'aim %'], rows);
}

/** At most 500 calls, evenly: enough for four constants. */
const thinned = (calls: readonly Call[]): readonly Call[] => {
  const stride = Math.max(1, Math.floor(calls.length / 500));
  return calls.filter((_, i) => i % stride === 0);
};
