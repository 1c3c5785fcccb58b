/**
 * Profile bundles of LLMServingSim 2: `<hardware>/<org>/<model>/<variant>/tp<N>/{dense,per_sequence,
 * attention,moe}.csv`, times in microseconds of one layer, and `meta.yaml` beside the `tp<N>` folders.
 *
 * A layer runs `layernorm` twice and each other kernel once; `embedding` and `final_layernorm` run once
 * a step. Kernels that tensor parallelism does not split are in `tp1` alone and are taken from there.
 *
 * @see casys-kaist/LLMServingSim `profiler/`, `serving/core/trace_generator.py`
 */

import { basename, dirname } from 'node:path';
import { parse } from 'yaml';
import { ConfigError } from '../../core/errors.js';
import { axesOf, type OperatorId } from '../../core/perf/table/perf-table.js';
import { checkPoint, textOf } from '../perf-table.js';
import {
  type ImportedTable,
  type ImportFormat,
  type Kernel,
  named,
  only,
  Points,
  rowsOf,
  type Said,
  summed,
} from './format.js';

const MATRICES: Readonly<Record<string, OperatorId>> = {
  qkv_proj: 'qkv_projection',
  o_proj: 'output_projection',
  gate_up_proj: 'gate_up_projection',
  down_proj: 'down_projection',
};
/** Kernels of a layer, and how often it runs each. */
const ELEMENTWISE = { layernorm: 2, rotary_emb: 1, qk_norm: 1, act_fn: 1 };
const ONCE = { embedding: 1, final_layernorm: 1 };
const HEAD: Readonly<Record<string, OperatorId>> = { lm_head: 'lm_head', sampler: 'sampling' };

export const llmservingsim: ImportFormat = {
  name: 'llmservingsim',
  about: 'a profile bundle: a folder with meta.yaml and tp<N>/dense.csv, attention.csv, ...',
  recognises: (files) => named(files, 'dense.csv').length > 0,
  said,
  read: (files, model) => {
    const dense = named(files, 'dense.csv');
    const folders = dense.map((path) => dirname(path));
    const bundles = [...new Set(folders.map((folder) => dirname(folder)))];
    if (bundles.length > 1) throw new ConfigError('--import', 'one bundle', bundles);
    const tp1 = folders.find((folder) => sizeOf(folder) === 1);
    const whole = tp1 === undefined ? undefined : kernelsOf(`${tp1}/dense.csv`, 'tokens');
    return folders.map((folder) => tableOf(folder, files, whole, model.moe !== undefined));
  },
};

function said(files: readonly string[]): Said {
  const path = only(files, 'meta.yaml');
  if (path === undefined) return {};
  const meta = yamlOf(path);
  const text = (field: string): string | undefined =>
    meta[field] === undefined ? undefined : String(meta[field]);
  const variant = text('variant') ?? basename(dirname(path));
  const version = text('vllm_version');
  return {
    model: text('model'),
    hardware: text('hardware'),
    dtype: variant.startsWith('fp16') ? 'float16' : 'bfloat16',
    quantization: variant.startsWith('fp8') ? 'fp8' : 'none',
    kvCacheDtype: variant.endsWith('kvfp8') ? 'fp8' : 'auto',
    engine: version && `vllm ${version}`,
  };
}

function yamlOf(path: string): Readonly<Record<string, unknown>> {
  try {
    return Object(parse(textOf(path, '--import'))) as Record<string, unknown>;
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    throw new ConfigError(path, 'YAML', (cause as Error).message.split('\n')[0]);
  }
}

/** `tp2` → 2; a folder of any other name holds a whole model. */
const sizeOf = (folder: string): number => Number(/^tp(\d+)$/.exec(basename(folder))?.[1] ?? 1);

type Kernels = ReadonlyMap<string, ReadonlyMap<number, number>>;

function tableOf(
  folder: string,
  files: readonly string[],
  whole: Kernels | undefined,
  hasExperts: boolean,
): ImportedTable {
  const points = new Points();
  const size = sizeOf(folder);
  const path = (name: string) => files.find((file) => file === `${folder}/${name}`);
  const dense = new Map([...(whole ?? []), ...kernelsOf(`${folder}/dense.csv`, 'tokens')]);
  const leftOut = addDense(points, `${folder}/dense.csv`, dense);
  const perSequence = path('per_sequence.csv');
  if (perSequence) {
    for (const [layer, times] of kernelsOf(perSequence, 'sequences')) {
      const id = HEAD[layer];
      if (id) addAll(points, id, times);
      else leftOut.push(layer);
    }
  }
  const attention = path('attention.csv');
  if (attention) addAttention(points, attention);
  const experts = path('moe.csv');
  if (experts && hasExperts && size === 1) addExperts(points, experts);
  else if (experts) leftOut.push(basename(experts));
  for (const name of ['skew.csv', 'skew_fit.csv']) if (path(name)) leftOut.push(name);
  return { tensorParallelSize: size, operators: points.operators(), leftOut };
}

/** @returns the layers that no operator stands for */
function addDense(points: Points, path: string, kernels: Kernels): string[] {
  for (const [layer, id] of Object.entries(MATRICES)) addAll(points, id, kernels.get(layer));
  addAll(points, 'elementwise', summed(path, pick(kernels, ELEMENTWISE)));
  addAll(points, 'embedding', summed(path, pick(kernels, ONCE)));
  const known = [MATRICES, ELEMENTWISE, ONCE].flatMap((group) => Object.keys(group));
  return [...kernels.keys()].filter((layer) => !known.includes(layer));
}

/** Those of `counts` that there are. */
function pick(kernels: Kernels, counts: Readonly<Record<string, number>>): Map<string, Kernel> {
  const picked = new Map<string, Kernel>();
  for (const [layer, count] of Object.entries(counts)) {
    const times = kernels.get(layer);
    if (times) picked.set(layer, [times, count]);
  }
  return picked;
}

function addAll(points: Points, id: OperatorId, times: ReadonlyMap<number, number> = new Map()) {
  for (const [size, seconds] of times) points.add(id, [size], seconds);
}

function kernelsOf(path: string, axis: 'tokens' | 'sequences'): Map<string, Map<number, number>> {
  const kernels = new Map<string, Map<number, number>>();
  for (const row of rowsOf(path, 'layer', axis, 'time_us').rows) {
    const layer = row.text('layer');
    const times = kernels.get(layer) ?? new Map<number, number>();
    kernels.set(layer, times);
    const size = row.atLeast1(axis);
    if (times.has(size)) row.refuse(axis, `${layer} once at each size`, `${size} again`);
    times.set(size, microseconds(row));
  }
  return kernels;
}

function addAttention(points: Points, path: string): void {
  const axes = axesOf('attention');
  const columns = ['prefill_chunk', 'n_decode', 'kv_prefill', 'kv_decode'] as const;
  for (const row of rowsOf(path, ...columns, 'time_us').rows) {
    const at = columns.map((column) => row.count(column));
    checkPoint(row, axes, at);
    points.add('attention', at, microseconds(row));
  }
}

function addExperts(points: Points, path: string): void {
  for (const row of rowsOf(path, 'tokens', 'activated_experts', 'time_us').rows) {
    const at = [row.atLeast1('tokens'), row.atLeast1('activated_experts')];
    points.add('routed_experts', at, microseconds(row));
  }
}

function microseconds(row: {
  number(f: string): number;
  refuse(...a: [string, string, unknown]): never;
}): number {
  const us = row.number('time_us');
  return us > 0 ? us / 1e6 : row.refuse('time_us', 'microseconds above 0', us);
}
