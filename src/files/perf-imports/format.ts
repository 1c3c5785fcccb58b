/** What an importer of measured times is, and what all of them need. */

import { readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ConfigError } from '../../core/errors.js';
import type { ModelShape } from '../../core/model/model-shape.js';
import type { OperatorId, PerfTable } from '../../core/perf/table/perf-table.js';
import { textOf } from '../perf-table.js';
import { type RowTable, readRows } from '../rows.js';

/** What the files themselves say about what was measured; absent: they do not. */
export interface Said {
  readonly model?: string | undefined;
  readonly hardware?: string | undefined;
  readonly dtype?: string | undefined;
  readonly quantization?: string | undefined;
  readonly kvCacheDtype?: string | undefined;
  readonly engine?: string | undefined;
}

/** The measured times of one tensor-parallel size; `undefined`: the files do not say which. */
export interface ImportedTable {
  readonly tensorParallelSize: number | undefined;
  readonly operators: PerfTable['operators'];
  /** What was found and has no place in a table. */
  readonly leftOut: readonly string[];
}

export interface ImportFormat {
  readonly name: string;
  /** What `--import` is given, for help and errors. */
  readonly about: string;
  recognises(files: readonly string[]): boolean;
  said(files: readonly string[]): Said;
  /** @throws {ConfigError} for the first thing that is wrong: file, line, field */
  read(files: readonly string[], model: ModelShape): ImportedTable[];
}

const DEEPEST = 6;

/** Every file under `paths`, sorted, so that an import does not depend on the order of a disk. */
export function filesUnder(paths: readonly string[], where: string): string[] {
  return paths.flatMap((path) => {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat) throw new ConfigError(where, 'a file or a folder', `no such path: ${path}`);
    return stat.isDirectory() ? filesIn(path, DEEPEST) : [path];
  });
}

const filesIn = (folder: string, depth: number): string[] =>
  readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (!entry.isDirectory()) return [path];
      return depth > 0 ? filesIn(path, depth - 1) : [];
    });

export const named = (files: readonly string[], name: string): string[] =>
  files.filter((file) => basename(file) === name);

/** The one file of this name. Two would be two measurements. */
export function only(files: readonly string[], name: string): string | undefined {
  const [first, second] = named(files, name);
  if (second === undefined) return first;
  throw new ConfigError('--import', `one ${name}`, `${first} and ${second}`);
}

export function rowsOf(path: string, ...columns: string[]): RowTable {
  const table = readRows(path, textOf(path, '--import'));
  const missing = columns.find((column) => !table.has(column));
  if (missing) throw new ConfigError(`${path}: ${missing}`, `the columns ${columns}`, table.names);
  if (table.rows.length === 0) throw new ConfigError(path, 'rows below the header', 'none');
  return table;
}

/** Points of a table gathered from rows that may repeat: a point is the median of its times. */
export class Points {
  readonly #times = new Map<OperatorId, Map<string, { at: readonly number[]; all: number[] }>>();

  add(id: OperatorId, at: readonly number[], seconds: number): void {
    let points = this.#times.get(id);
    if (!points) {
      points = new Map();
      this.#times.set(id, points);
    }
    const key = at.join(' ');
    const point = points.get(key);
    if (point) point.all.push(seconds);
    else points.set(key, { at, all: [seconds] });
  }

  operators(): PerfTable['operators'] {
    return new Map(
      [...this.#times].map(([id, points]) => [
        id,
        [...points.values()].map(({ at, all }) => ({ at, seconds: median(all) })),
      ]),
    );
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** A kernel's times by size, and how often a layer runs it. */
export type Kernel = readonly [times: ReadonlyMap<number, number>, count: number];

/**
 * The sum of several kernels, at every size of the first.
 *
 * @throws {ConfigError} when another lacks one of them
 */
export function summed(where: string, kernels: ReadonlyMap<string, Kernel>): Map<number, number> {
  const sums = new Map<number, number>();
  for (const [name, [times, count]] of kernels) {
    const isFirst = sums.size === 0;
    const sizes = isFirst ? times.keys() : sums.keys();
    for (const size of [...sizes]) {
      const time = times.get(size);
      if (time === undefined) {
        throw new ConfigError(
          `${where}: ${name}`,
          `a time at ${size} tokens, as others have`,
          time,
        );
      }
      sums.set(size, (sums.get(size) ?? 0) + count * time);
    }
  }
  return sums;
}
