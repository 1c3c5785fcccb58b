/**
 * Parquet files, as data sets from Hugging Face come. The reader is an optional package, loaded when the
 * first such file is opened, and only the columns that are needed are read: those with images are large.
 */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { ConfigError } from '../../core/errors.js';
import { unreadable } from '../../files/line-reader.js';
import type { Row } from './files.js';

type Reader = Pick<typeof import('hyparquet'), 'parquetMetadataAsync' | 'parquetReadObjects'> &
  Pick<typeof import('hyparquet-compressors'), 'compressors'>;

/** Loads the optional reader; `undefined` when it is absent. */
async function parquetReader(): Promise<Reader | undefined> {
  try {
    const [{ parquetMetadataAsync, parquetReadObjects }, { compressors }] = await Promise.all([
      import('hyparquet'),
      import('hyparquet-compressors'),
    ]);
    return { parquetMetadataAsync, parquetReadObjects, compressors };
  } catch {
    return undefined;
  }
}

/**
 * Rows of a Parquet file.
 *
 * @param wanted the columns that may be needed; those that are not in the file are left out
 * @throws {ConfigError} when it is none, is damaged, or the reader is not installed
 */
export async function readParquet(
  path: string,
  wanted: readonly string[],
  load: () => Promise<Reader | undefined> = parquetReader,
): Promise<Row[]> {
  const reader = await load();
  if (!reader) {
    const hint =
      'Install it (npm install hyparquet hyparquet-compressors), or convert the file to JSON Lines.';
    throw new ConfigError(path, 'the reader of Parquet files to be installed', undefined, hint);
  }
  const file = openBuffer(path);
  try {
    const metadata = await reader.parquetMetadataAsync(file);
    const names = columnsOf(metadata.schema);
    const columns = names.filter((name) => wanted.includes(name));
    // Without any of them the first row still says which columns there are.
    if (columns.length === 0) return [Object.fromEntries(names.map((name) => [name, null]))];
    const { compressors } = reader;
    return await reader.parquetReadObjects({ file, metadata, columns, compressors });
  } catch (error) {
    const { message } = error as Error;
    throw new ConfigError(path, 'a Parquet file', message, 'Is it whole? Download it again.');
  } finally {
    file.close();
  }
}

/** Names of the outermost fields: those of the root, which stands first and counts its children. */
function columnsOf(schema: readonly { name: string; num_children?: number }[]): string[] {
  const names: string[] = [];
  let at = 1;
  const skip = (): void => {
    for (let left = schema[at++]?.num_children ?? 0; left > 0; left--) skip();
  };
  while (at < schema.length) {
    names.push(schema[at]!.name);
    skip();
  }
  return names;
}

/** A file that is read piece by piece. @throws {ConfigError} */
function openBuffer(path: string) {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (cause) {
    throw unreadable('--dataset-path', path, cause);
  }
  const byteLength = fstatSync(fd).size;
  return {
    byteLength,
    slice(start: number, end = byteLength): ArrayBuffer {
      const from = start < 0 ? byteLength + start : start;
      const bytes = new Uint8Array(Math.max(0, end - from));
      readSync(fd, bytes, 0, bytes.length, from);
      return bytes.buffer;
    },
    close: () => closeSync(fd),
  };
}
