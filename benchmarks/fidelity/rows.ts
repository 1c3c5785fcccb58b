/**
 * Published measurements, one tidy CSV per source: a row is one value of one metric, with what is
 * known of the case beside it.
 */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ConfigError } from '../../src/core/errors.js';

export const COLUMNS = [
  'source',
  'model',
  'params_note',
  'gpu',
  'num_gpus',
  'tp',
  'pp',
  'dtype',
  'engine',
  'engine_version',
  'input_len',
  'output_len',
  'concurrency',
  'request_rate',
  'metric',
  'value',
  'unit',
  'note',
] as const;

export type Row = Readonly<Record<(typeof COLUMNS)[number], string>> & {
  readonly file: string;
  readonly line: number;
};

/** All rows of the CSV files of a folder (or of its `e2e` folder), in order. */
export function readRows(directory: string): Row[] {
  const csvs = (d: string): string[] =>
    existsSync(d) && statSync(d).isDirectory()
      ? readdirSync(d)
          .filter((f) => f.endsWith('.csv'))
          .sort()
          .map((f) => join(d, f))
      : [];
  const here = csvs(directory);
  const files = here.length > 0 ? here : csvs(join(directory, 'e2e'));
  if (files.length === 0)
    throw new ConfigError('--data', 'a folder with CSV files of measurements', directory);
  return files.flatMap((file) => {
    const [header, ...lines] = parseCsv(readFileSync(file, 'utf8'));
    for (const column of COLUMNS) {
      if (!header?.includes(column))
        throw new ConfigError(`${file}: line 1`, `a column ${column}`, header);
    }
    return lines.map((cells, i) => ({
      ...(Object.fromEntries(header!.map((name, k) => [name, cells[k] ?? ''])) as Record<
        (typeof COLUMNS)[number],
        string
      >),
      file,
      line: i + 2,
    }));
  });
}

/**
 * The rows that a file lists, `file.csv:line` each.
 *
 * @throws {ConfigError} when it cannot be read, or lists a row that is not there.
 */
export function heldBack(rows: readonly Row[], split: string): readonly Row[] {
  if (!existsSync(split)) throw new ConfigError('--split', 'a readable file', split);
  const byName = new Map(rows.map((row) => [`${basename(row.file)}:${row.line}`, row]));
  return readFileSync(split, 'utf8')
    .split(/\s+/)
    .filter((name) => name !== '')
    .map((name) => {
      const row = byName.get(name);
      if (!row) throw new ConfigError('--split', 'rows of the data, file.csv:line each', name);
      return row;
    });
}

/** RFC 4180: quoted cells may hold commas, quotes (doubled) and line breaks. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let cells: string[] = [];
  let cell = '';
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (quoted) {
      if (c !== '"') cell += c;
      else if (text[i + 1] === '"') cell += text[i++]!;
      else quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === ',') [cells, cell] = [[...cells, cell], ''];
    else if (c === '\n') {
      rows.push([...cells, cell.replace(/\r$/, '')]);
      [cells, cell] = [[], ''];
    } else cell += c;
  }
  if (cell !== '' || cells.length > 0) rows.push([...cells, cell]);
  return rows;
}
