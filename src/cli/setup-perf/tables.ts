/**
 * Tables that `setup-perf` writes and checks: the analytic model's own, and what profilers measured.
 *
 * Each stands against the pool it belongs to, found by the names in it or by the flags, so that a table
 * is checked by the model it will be used with.
 */

import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadHardware } from '../../config/hardware.js';
import { loadModel } from '../../config/models.js';
import { ConfigError } from '../../core/errors.js';
import type { ResolvedPool } from '../../core/perf/resolve.js';
import { checkTable, type OperatorCheck } from '../../core/perf/table/check-table.js';
import { generateTable } from '../../core/perf/table/generate-table.js';
import type { PerfTable, PerfTableMeta } from '../../core/perf/table/perf-table.js';
import type { PoolOptions } from '../../core/scenario.js';
import { openImport, type Said } from '../../files/perf-imports/index.js';
import { perfTableText, readPerfTable } from '../../files/perf-table.js';
import { unwritable } from '../../report/output-file.js';
import { composePool } from '../compose.js';

/** What the flags say about the tables asked for; absent: the files, or the defaults. */
export interface TableFlags {
  readonly model?: string | undefined;
  readonly hardware?: string | undefined;
  readonly engine?: string | undefined;
  readonly tensorParallelSize?: number | undefined;
  readonly dtype?: string | undefined;
  readonly quantization?: string | undefined;
  readonly kvCacheDtype?: string | undefined;
}

export interface CheckedTable {
  /** The file: read, or written. */
  readonly path: string | undefined;
  readonly table: PerfTable;
  readonly operators: readonly OperatorCheck[];
  readonly leftOut: readonly string[];
}

/** @throws {ConfigError} */
export function checkFile(path: string): CheckedTable {
  const table = readPerfTable(path, '--check');
  const { meta } = table;
  const where = (field: string) => `${path}: ${field}`;
  return checked(table, poolOf(meta, undefined, where), path);
}

/** The analytic model of one model on one GPU. */
export function generated(model: string, hardware: string, flags: TableFlags): PerfTableAndPool {
  const tp = flags.tensorParallelSize ?? 1;
  const options: PoolOptions = {
    tensorParallelSize: tp,
    ...(flags.dtype !== undefined && { dtype: flags.dtype }),
    ...(flags.quantization !== undefined && { quantization: flags.quantization }),
    ...(flags.kvCacheDtype !== undefined && { kvCacheDtype: flags.kvCacheDtype }),
  };
  const pool = { model, hardware, engine: flags.engine, options };
  const resolved = composePool(pool, flag);
  const { deployment, engine, scheduler, spec } = resolved;
  const meta: PerfTableMeta = {
    model: spec.model.name,
    hardware: spec.hardware.name,
    tensorParallelSize: tp,
    dtype: deployment.precision.dtype,
    quantization: deployment.precision.quantization ?? 'none',
    kvCacheDtype: deployment.precision.bytesPerKv < 2 ? 'fp8' : 'auto',
    engine: `${engine.name} ${engine.since}+`,
    source: 'the analytic model of llmservingsim (docs/cost-model.md)',
  };
  const extent = {
    tokens: Math.max(scheduler.maxNumScheduledTokens, 8192),
    sequences: Math.max(scheduler.maxNumSeqs, 256),
    context: scheduler.maxModelLen,
  };
  return { table: generateTable(deployment, meta, extent), pool: resolved };
}

export interface PerfTableAndPool {
  readonly table: PerfTable;
  readonly pool: ResolvedPool;
}

/** Every tensor-parallel size that the files hold, or the one asked for. */
export function imported(
  paths: readonly string[],
  format: string | undefined,
  flags: TableFlags,
): CheckedTable[] {
  const found = openImport(paths, format);
  const said = found.format.said(found.files);
  const model = loadModel(named('model', flags.model, said.model));
  const tables = found.format.read(found.files, model);
  const asked = flags.tensorParallelSize;
  const sizes = tables.map((table) => table.tensorParallelSize ?? asked ?? 1);
  if (asked !== undefined && !sizes.includes(asked)) {
    throw new ConfigError('--tensor-parallel-size', `one that was measured: ${sizes}`, asked);
  }
  return tables.flatMap(({ operators, leftOut }, i): CheckedTable[] => {
    const tp = sizes[i]!;
    if (asked !== undefined && tp !== asked) return [];
    const meta = metaOf(flags, said, tp, model.name, `${paths.join(', ')} (${found.format.name})`);
    const pool = poolOf(meta, flags.engine, flag);
    const dtype = flags.dtype ?? said.dtype ?? pool.deployment.precision.dtype;
    return [checked({ meta: { ...meta, dtype }, operators }, pool, undefined, leftOut)];
  });
}

function metaOf(
  flags: TableFlags,
  said: Said,
  tensorParallelSize: number,
  model: string,
  source: string,
): PerfTableMeta {
  return {
    model,
    hardware: loadHardware(named('hardware', flags.hardware, said.hardware)).name,
    tensorParallelSize,
    dtype: '',
    quantization: flags.quantization ?? said.quantization ?? 'none',
    kvCacheDtype: flags.kvCacheDtype ?? said.kvCacheDtype ?? 'auto',
    engine: flags.engine ?? said.engine ?? 'unknown engine',
    source,
  };
}

function named(field: string, given: string | undefined, found: string | undefined): string {
  const name = given ?? found;
  if (name !== undefined) return name;
  throw new ConfigError(`--${field}`, 'a name: the files do not say what was measured', undefined);
}

const flag = (field: string): string => `--${field.replaceAll('_', '-')}`;

/** The pool a table belongs to, whether or not the model fits into one instance's memory. */
function poolOf(
  meta: PerfTableMeta,
  engine: string | undefined,
  where: (field: string) => string,
): ResolvedPool {
  const options: PoolOptions = {
    tensorParallelSize: meta.tensorParallelSize,
    numGpuBlocksOverride: ROOMY_BLOCKS,
    kvCacheDtype: meta.kvCacheDtype,
    ...(meta.quantization !== 'none' && { quantization: meta.quantization }),
  };
  const pool = { model: meta.model, hardware: meta.hardware, engine, options };
  return composePool(pool, where);
}

const ROOMY_BLOCKS = 2 ** 20;

export const checked = (
  table: PerfTable,
  { deployment }: ResolvedPool,
  path?: string,
  leftOut: readonly string[] = [],
): CheckedTable => ({ path, table, operators: checkTable(deployment, table), leftOut });

/** Writes a table into a folder, which is made if need be, or to a path that ends with `.csv`. */
export function saved(out: string, check: CheckedTable, isOnly: boolean): CheckedTable {
  const { table } = check;
  const path = out.endsWith('.csv') ? out : join(out, fileName(table.meta));
  if (out.endsWith('.csv') && !isOnly) {
    throw new ConfigError('--out', 'a folder: there are several tables', out);
  }
  try {
    if (path !== out && !existsSync(out)) mkdirSync(out, { recursive: true });
    writeFileSync(path, perfTableText(table));
  } catch (cause) {
    throw unwritable('--out', path, cause);
  }
  return { ...check, path };
}

/** `Qwen3-8B_H100_tp1.csv`. */
function fileName({ model, hardware, tensorParallelSize, ...meta }: PerfTableMeta): string {
  const kv = meta.kvCacheDtype === 'auto' ? [] : ['kvfp8'];
  const scheme = meta.quantization === 'none' ? [] : [meta.quantization];
  const name = model.slice(model.lastIndexOf('/') + 1);
  const parts = [name, hardware, `tp${tensorParallelSize}`, ...scheme, ...kv];
  return `${parts.join('_').replace(/[^\w.-]+/g, '-')}.csv`;
}

/** Refuses an `--out` that is a file of another kind before anything is computed. */
export function checkOut(out: string): void {
  const stat = statSync(out, { throwIfNoEntry: false });
  if (stat && !stat.isDirectory() && !out.endsWith('.csv')) {
    throw new ConfigError('--out', 'a folder, or the path of a .csv', out);
  }
}
