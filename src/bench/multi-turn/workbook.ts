/**
 * The result of a multi-turn run as a workbook: a summary, the statistics per turn, and all rows, ready
 * for charts. Where the writer of Excel files is not installed, the same tables become CSV files.
 */

import { writeFileSync } from 'node:fs';
import { csvCell } from '../../report/format.js';

export type Cell = string | number | null;

export interface SheetTable {
  readonly name: string;
  /** What is appended to a CSV file's name. */
  readonly suffix: string;
  readonly rows: readonly (readonly Cell[])[];
}

type Writer = (
  sheets: { data: { value: string | number; type?: unknown }[][]; sheet: string }[],
) => { toFile(path: string): Promise<void> };

/** Loads the optional writer; `undefined` when it is absent. */
export async function excelWriter(): Promise<Writer | undefined> {
  try {
    const module = await import('write-excel-file/node');
    return module.default as unknown as Writer;
  } catch {
    return undefined;
  }
}

/** Writes `<base>.xlsx`, or CSV files; the files written. */
export async function writeWorkbook(
  base: string,
  sheets: readonly SheetTable[],
  writer: Writer | undefined,
): Promise<string[]> {
  if (writer) {
    const path = `${base}.xlsx`;
    await writer(
      sheets.map(({ name, rows }) => ({ sheet: name, data: rows.map(excelRow) })),
    ).toFile(path);
    return [path];
  }
  return sheets.map(({ suffix, rows }) => {
    const path = `${base}_${suffix}.csv`;
    writeFileSync(path, `${rows.map((row) => row.map(csvCell).join(',')).join('\n')}\n`);
    return path;
  });
}

const excelRow = (row: readonly Cell[]) =>
  row.map((value) =>
    typeof value === 'number'
      ? Number.isFinite(value)
        ? { value, type: Number }
        : { value: '' }
      : { value: value ?? '', type: String },
  );
