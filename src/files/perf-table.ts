/**
 * The file of a measured table: CSV whose first lines say what was measured.
 *
 *   # llmservingsim perf table 1
 *   # model: qwen/Qwen3-8B
 *   # hardware: H100
 *   ...
 *   operator,tokens,sequences,bytes,experts,prefill_tokens,num_decodes,prefill_history,decode_context,time_us
 *   qkv_projection,1,,,,,,,,21.5
 *
 * A row fills the axes of its operator and leaves the others empty (docs/tables.md).
 */

import { readFileSync } from 'node:fs';
import { ConfigError, closest } from '../core/errors.js';
import {
  AXES,
  axesOf,
  type MeasuredPoint,
  OPERATOR_IDS,
  OPERATORS,
  type OperatorId,
  type PerfTable,
  type PerfTableMeta,
} from '../core/perf/table/perf-table.js';
import { unreadable } from './line-reader.js';
import { type Row, readRows } from './rows.js';

const TITLE = '# llmservingsim perf table 1';
const COLUMNS = ['operator', ...AXES, 'time_us'] as const;

const META_FIELDS = [
  'model',
  'hardware',
  'tensor_parallel_size',
  'dtype',
  'quantization',
  'kv_cache_dtype',
  'engine',
  'source',
] as const;
type MetaField = (typeof META_FIELDS)[number];

/**
 * @param where how the user named the file, for a file that cannot be read
 * @throws {ConfigError} for the first thing that is wrong: file, line, field
 */
export function readPerfTable(path: string, where: string): PerfTable {
  const text = textOf(path, where);
  return { meta: metaOf(path, text), operators: operatorsOf(path, text) };
}

export function textOf(path: string, where: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw unreadable(where, path, cause);
  }
}

function metaOf(path: string, text: string): PerfTableMeta {
  const lines = text.split('\n').map((line) => line.trim());
  if (lines[0] !== TITLE) {
    const hint = 'Other formats become one: llmservingsim setup-perf --import PATH --out DIR';
    throw new ConfigError(`${path}:1`, `the line ${TITLE}`, lines[0]?.slice(0, 80), hint);
  }
  const found = new Map<string, { value: string; where: string }>();
  for (let i = 1; lines[i]?.startsWith('#'); i++) {
    const [, field, value] = /^#\s*([a-z_]+):\s*(.*)$/.exec(lines[i]!) ?? [];
    if (!META_FIELDS.includes(field as MetaField)) {
      throw new ConfigError(
        `${path}:${i + 1}`,
        `one of ${META_FIELDS.join(', ')}`,
        field ?? lines[i],
      );
    }
    found.set(field!, { value: value!, where: `${path}:${i + 1}: ${field}` });
  }
  const said = (field: MetaField): string => {
    const value = found.get(field)?.value;
    if (value) return value;
    throw new ConfigError(`${path}: ${field}`, `a line "# ${field}: ..." below the first`, value);
  };
  const tp = Number(said('tensor_parallel_size'));
  if (!(Number.isSafeInteger(tp) && tp >= 1)) {
    const { where, value } = found.get('tensor_parallel_size')!;
    throw new ConfigError(where, 'a whole number of at least 1', value);
  }
  return {
    model: said('model'),
    hardware: said('hardware'),
    tensorParallelSize: tp,
    dtype: said('dtype'),
    quantization: said('quantization'),
    kvCacheDtype: said('kv_cache_dtype'),
    engine: said('engine'),
    source: said('source'),
  };
}

function operatorsOf(path: string, text: string): PerfTable['operators'] {
  const table = readRows(path, text);
  const missing = COLUMNS.find((column) => !table.has(column));
  if (missing)
    throw new ConfigError(`${path}: ${missing}`, `the columns ${COLUMNS.join(',')}`, table.names);
  const operators = new Map<OperatorId, MeasuredPoint[]>();
  const seen = new Map<string, string>();
  for (const row of table.rows) {
    const id = operatorOf(row);
    const point = pointOf(row, id);
    const key = `${id} ${point.at.join(' ')}`;
    if (seen.has(key)) {
      throw new ConfigError(row.where, 'each point once', `the point of ${seen.get(key)} again`);
    }
    seen.set(key, row.where);
    const points = operators.get(id);
    if (points) points.push(point);
    else operators.set(id, [point]);
  }
  if (operators.size === 0) throw new ConfigError(path, 'rows below the header', 'none');
  if (operators.has('step') && operators.size > 1) {
    const other = [...operators.keys()].find((id) => id !== 'step');
    throw new ConfigError(path, 'whole steps alone, or operators', `step and ${other}`);
  }
  return operators;
}

function operatorOf(row: Row): OperatorId {
  const word = row.text('operator');
  if (word in OPERATORS) return word as OperatorId;
  const near = closest(word, OPERATOR_IDS);
  return row.refuse(
    'operator',
    `one of ${OPERATOR_IDS.join(', ')}`,
    near ? `${word} (${near}?)` : word,
  );
}

function pointOf(row: Row, id: OperatorId): MeasuredPoint {
  const axes = axesOf(id);
  const extra = AXES.find((axis) => !axes.includes(axis) && row.text(axis) !== '');
  if (extra) row.refuse(extra, `nothing: ${id} depends on ${axes.join(', ')}`, row.text(extra));
  const at = axes.map((axis) => (axes.length === 4 ? row.count(axis) : row.number(axis)));
  checkPoint(row, axes, at);
  const us = row.number('time_us');
  if (!(us > 0)) row.refuse('time_us', 'microseconds above 0', us);
  return { at, seconds: us / 1e6 };
}

/** Refuses a point that no step can be. */
export function checkPoint(row: Row, axes: readonly string[], at: readonly number[]): void {
  if (axes.length < 4) {
    axes.forEach((axis, i) => {
      if (!(at[i]! > 0)) row.refuse(axis, 'a number above 0', at[i]);
    });
    return;
  }
  const [prefill = 0, decodes = 0, history = 0, context = 0] = at;
  if (prefill + decodes === 0) row.refuse('prefill_tokens', 'a prompt token or a decode', 0);
  if (decodes > 0 && context === 0)
    row.refuse('decode_context', 'at least 1 with decodes', context);
  if (decodes === 0 && context > 0) row.refuse('decode_context', '0 without decodes', context);
  if (prefill === 0 && history > 0)
    row.refuse('prefill_history', '0 without prompt tokens', history);
}

/** What a table says of itself, under the names of its fields. */
export const metaFields = (meta: PerfTableMeta): Readonly<Record<MetaField, string | number>> => ({
  model: meta.model,
  hardware: meta.hardware,
  tensor_parallel_size: meta.tensorParallelSize,
  dtype: meta.dtype,
  quantization: meta.quantization,
  kv_cache_dtype: meta.kvCacheDtype,
  engine: meta.engine,
  source: meta.source,
});

export function perfTableText({ meta, operators }: PerfTable): string {
  const said = metaFields(meta);
  const lines = [
    TITLE,
    ...META_FIELDS.map((field) => `# ${field}: ${said[field]}`),
    COLUMNS.join(','),
  ];
  for (const id of OPERATOR_IDS) {
    const axes = axesOf(id);
    const points = [...(operators.get(id) ?? [])].sort((a, b) => byCoordinates(a.at, b.at));
    for (const { at, seconds } of points) {
      const cells = AXES.map((axis) => at[axes.indexOf(axis)] ?? '');
      lines.push([id, ...cells, Number((seconds * 1e6).toPrecision(9))].join(','));
    }
  }
  return `${lines.join('\n')}\n`;
}

function byCoordinates(a: readonly number[], b: readonly number[]): number {
  const i = a.findIndex((x, j) => x !== b[j]);
  return i < 0 ? 0 : a[i]! - b[i]!;
}
