/** Reading whole data set files; every refusal names file, line and field. */

import { readFileSync } from 'node:fs';
import { ConfigError } from '../../core/errors.js';
import { unreadable } from '../../files/line-reader.js';

export type Row = Readonly<Record<string, unknown>>;

export function readText(path: string, flag = '--dataset-path'): string {
  try {
    return readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  } catch (cause) {
    throw unreadable(flag, path, cause);
  }
}

export function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ConfigError(where, 'JSON', text.slice(0, 80));
  }
}

/** Rows of a JSON Lines file, with their line numbers. A row may be any JSON. */
export function readJsonl(path: string): { readonly line: number; readonly row: unknown }[] {
  const rows: { line: number; row: unknown }[] = [];
  for (const [i, text] of readText(path).split(/\r?\n/).entries()) {
    if (text.trim() !== '') rows.push({ line: i + 1, row: parseJson(text, `${path}:${i + 1}`) });
  }
  return rows;
}

/** Rows of a CSV file by column name; quotes as in RFC 4180. */
export function readCsv(path: string): Row[] {
  const [header, ...records] = csvRecords(readText(path));
  if (!header) throw new ConfigError(path, 'a CSV file with a header', 'an empty file');
  return records
    .filter((cells) => cells.length > 1 || cells[0] !== '')
    .map((cells) => Object.fromEntries(header.map((name, i) => [name.trim(), cells[i] ?? ''])));
}

function csvRecords(text: string): string[][] {
  const records: string[][] = [[]];
  for (const [, quoted, plain, end] of text.matchAll(
    /(?:"((?:[^"]|"")*)"|([^,\r\n"]*))(,|\r?\n|$)/g,
  )) {
    records.at(-1)!.push(quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"'));
    if (end === '') break;
    if (end !== ',') records.push([]);
  }
  return records;
}
