/** Rows with named fields, from CSV with a header or from JSON Lines; errors name line and field. `#` begins a comment. */

import { ConfigError } from '../core/errors.js';

export class Row {
  constructor(
    readonly where: string,
    private readonly fields: Readonly<Record<string, unknown>>,
  ) {}

  refuse(field: string, expected: string, got: unknown): never {
    throw new ConfigError(`${this.where}: ${field}`, expected, got);
  }

  /** `undefined` where the field is empty, null or not there. */
  optional(field: string): number | undefined {
    const value = this.fields[field];
    if (value === undefined || value === null || value === '') return undefined;
    const number = typeof value === 'string' ? Number(value) : value;
    if (typeof number === 'number' && Number.isFinite(number)) return number;
    return this.refuse(field, 'a number', value);
  }

  /** `''` where it is empty or not there. */
  text(field: string): string {
    return String(this.fields[field] ?? '').trim();
  }

  number(field: string): number {
    return this.optional(field) ?? this.refuse(field, 'a number', this.fields[field]);
  }

  above0(field: string): number {
    const value = this.number(field);
    return value > 0 ? value : this.refuse(field, 'milliseconds above 0', value);
  }

  count(field: string): number {
    const value = this.number(field);
    return Number.isSafeInteger(value) && value >= 0
      ? value
      : this.refuse(field, 'a whole number of at least 0', value);
  }

  atLeast1(field: string): number {
    const value = this.count(field);
    return value >= 1 ? value : this.refuse(field, 'a whole number of at least 1', value);
  }
}

export interface RowTable {
  /** The fields of the first row. */
  readonly names: readonly string[];
  readonly rows: readonly Row[];
  has(...names: string[]): boolean;
}

/** @throws {ConfigError} for a line that is not a row */
export function readRows(path: string, text: string): RowTable {
  const lines = text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .map((line, i) => ({ line: line.trim(), where: `${path}:${i + 1}` }))
    .filter(({ line }) => line !== '' && !line.startsWith('#'));
  const [header, ...rest] = lines;
  if (!header) throw new ConfigError(path, 'rows', 'an empty file');
  if (header.line.startsWith('{')) {
    const objects = lines.map(({ line, where }) => ({ where, fields: objectOf(where, line) }));
    return tableOf(
      Object.keys(objects[0]!.fields),
      objects.map(({ where, fields }) => new Row(where, fields)),
    );
  }
  const names = cellsOf(header.line);
  const rows = rest.map(({ line, where }) => {
    const cells = cellsOf(line);
    if (cells.length !== names.length) {
      throw new ConfigError(where, `${names.length} values, as in the header`, cells.length);
    }
    return new Row(where, Object.fromEntries(names.map((name, i) => [name, cells[i]])));
  });
  return tableOf(names, rows);
}

const tableOf = (names: readonly string[], rows: readonly Row[]): RowTable => ({
  names,
  rows,
  has: (...wanted) => wanted.every((name) => names.includes(name)),
});

const cellsOf = (line: string): string[] =>
  line.split(',').map((cell) => cell.trim().replace(/^"(.*)"$/, '$1'));

function objectOf(where: string, line: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(line)) as Record<string, unknown>;
  } catch {
    throw new ConfigError(where, 'a JSON object', line.slice(0, 80));
  }
}
