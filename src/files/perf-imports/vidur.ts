/**
 * Vidur's profiles: `mlp.csv` (projections and MLP of one layer), `attention.csv` and `all_reduce.csv`,
 * milliseconds in `time_stats.<operator>.median`.
 *
 * A layer runs both norms, rotary and activation once and adds its residual twice; a table holds the
 * rows of one `num_tensor_parallel_workers`. Attention is prefill of one prompt or decodes of one
 * context, with reshaping and KV write.
 *
 * @see microsoft/vidur `docs/profiling.md`
 */

import { dirname } from 'node:path';
import { ConfigError } from '../../core/errors.js';
import type { ModelShape } from '../../core/model/model-shape.js';
import type { OperatorId } from '../../core/perf/table/perf-table.js';
import type { Row, RowTable } from '../rows.js';
import {
  type ImportedTable,
  type ImportFormat,
  named,
  only,
  Points,
  rowsOf,
  type Said,
} from './format.js';

const MATRICES: Readonly<Record<string, OperatorId>> = {
  attn_pre_proj: 'qkv_projection',
  attn_post_proj: 'output_projection',
  mlp_up_proj: 'gate_up_projection',
  mlp_down_proj: 'down_projection',
};
const ELEMENTWISE = {
  input_layernorm: 1,
  attn_rope: 1,
  post_attention_layernorm: 1,
  mlp_act: 1,
  add: 2,
};
const AROUND_ATTENTION = ['attn_input_reshape', 'attn_kv_cache_save', 'attn_output_reshape'];
const WORKERS = 'num_tensor_parallel_workers';

export const vidur: ImportFormat = {
  name: 'vidur',
  about: 'profiles: mlp.csv, attention.csv, all_reduce.csv; folders with commas between',
  recognises: (files) =>
    named(files, 'mlp.csv').length > 0 ||
    [...named(files, 'attention.csv'), ...named(files, 'all_reduce.csv')].some((path) =>
      rowsOf(path).names.some((name) => name.startsWith('time_stats.')),
    ),
  said,
  read(files, model) {
    const [mlp, attention, allReduce] = ['mlp.csv', 'attention.csv', 'all_reduce.csv'].map(
      (name) => {
        const path = only(files, name);
        return path === undefined ? undefined : rowsOf(path);
      },
    );
    const sizes = new Set(
      [mlp, attention].flatMap((table) => table?.rows.map((row) => row.atLeast1(WORKERS)) ?? []),
    );
    if (sizes.size === 0) throw new ConfigError('--import', 'an mlp.csv or attention.csv', files);
    return [...sizes]
      .sort((a, b) => a - b)
      .map((size) => tableOf(size, { mlp, attention, allReduce }, model));
  },
};

/** The layout of Vidur's repository: `<hardware>/<org>/<model>/mlp.csv`. */
function said(files: readonly string[]): Said {
  const path = only(files, 'mlp.csv') ?? only(files, 'attention.csv');
  if (path === undefined) return {};
  const [hardware, org, model] = dirname(path).split('/').slice(-3);
  return { model: model && `${org}/${model}`, hardware, dtype: 'float16' };
}

interface Tables {
  readonly mlp: RowTable | undefined;
  readonly attention: RowTable | undefined;
  readonly allReduce: RowTable | undefined;
}

function tableOf(size: number, tables: Tables, model: ModelShape): ImportedTable {
  const points = new Points();
  const leftOut: string[] = [];
  const ofSize = (table: RowTable | undefined, column: string): Row[] =>
    table?.rows.filter((row) => row.count(column) === size) ?? [];
  for (const row of ofSize(tables.mlp, WORKERS)) {
    checkModel(row, model);
    addLayer(points, tables.mlp!, row);
  }
  let mixed = 0;
  for (const row of ofSize(tables.attention, WORKERS)) {
    checkModel(row, model);
    if (!addAttention(points, row)) mixed++;
  }
  if (mixed > 0) leftOut.push(`${mixed} rows of attention with several prompts`);
  if (size > 1) addAllReduce(points, ofSize(tables.allReduce, 'num_workers'));
  return { tensorParallelSize: size, operators: points.operators(), leftOut };
}

function checkModel(row: Row, model: ModelShape): void {
  const expected: readonly [column: string, value: number][] = [
    ['n_embd', model.hiddenSize],
    ['n_head', model.numHeads],
    ['n_q_head', model.numHeads],
    ['n_kv_head', model.numKvHeads],
    ['n_expanded_embd', model.intermediateSize],
  ];
  for (const [column, value] of expected) {
    const found = row.optional(column);
    if (found !== undefined && found !== value) {
      row.refuse(column, `${value}, as ${model.name} has it`, found);
    }
  }
}

function addLayer(points: Points, table: RowTable, row: Row): void {
  const tokens = row.atLeast1('num_tokens');
  for (const [operator, id] of Object.entries(MATRICES))
    points.add(id, [tokens], time(row, operator));
  const elementwise = Object.entries(ELEMENTWISE)
    .filter(([operator]) => table.has(column(operator)))
    .reduce((sum, [operator, count]) => sum + count * time(row, operator), 0);
  if (elementwise > 0) points.add('elementwise', [tokens], elementwise);
  if (table.has(column('emb'))) points.add('embedding', [tokens], time(row, 'emb'));
}

/** False for what the axes of a table cannot tell: several prompts in one measurement. */
function addAttention(points: Points, row: Row): boolean {
  const isPrefill = /^true$/i.test(row.text('is_prefill'));
  const sequences = row.atLeast1('batch_size');
  const cached = row.count('kv_cache_size');
  if (/^true$/i.test(row.text('is_true_mixed_batch'))) return false;
  const around = AROUND_ATTENTION.reduce(
    (sum, operator) => sum + (optionalTime(row, operator) ?? 0),
    0,
  );
  if (!isPrefill) {
    // The newest token is attended to as well.
    points.add('attention', [0, sequences, 0, cached + 1], around + time(row, 'attn_decode'));
    return true;
  }
  if (sequences > 1) return false;
  const chunk = row.atLeast1('prefill_chunk_size');
  points.add('attention', [chunk, 0, cached, 0], around + time(row, 'attn_prefill'));
  return true;
}

/** Ranks of as few nodes as were measured; each size is the median over ranks and repeats. */
function addAllReduce(points: Points, rows: readonly Row[]): void {
  const most = Math.max(...rows.map((row) => row.atLeast1('devices_per_node')));
  for (const row of rows) {
    if (row.atLeast1('devices_per_node') < most) continue;
    points.add('all_reduce', [row.atLeast1('size')], time(row, 'all_reduce'));
  }
}

const column = (operator: string): string => `time_stats.${operator}.median`;

function time(row: Row, operator: string): number {
  const ms = row.number(column(operator));
  return ms > 0 ? ms / 1e3 : row.refuse(column(operator), 'milliseconds above 0', ms);
}

const optionalTime = (row: Row, operator: string): number | undefined => {
  const ms = row.optional(column(operator));
  return ms === undefined ? undefined : ms / 1e3;
};
