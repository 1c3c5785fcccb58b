/**
 * Lines of a text file, one at a time, in constant memory.
 *
 * Reading is synchronous and lazy: whoever simulates pulls the next line when it needs one, so a trace
 * of any length occupies one chunk.
 */

import { closeSync, openSync, readSync } from 'node:fs';
import { ConfigError } from '../core/errors.js';

const CHUNK_BYTES = 65_536;
/** A line longer than this is not a trace. */
const LONGEST_LINE_BYTES = 64 * 2 ** 20;
const NEWLINE = 10;

export class LineReader {
  /** Number of the line that was read last, from 1. */
  lineNumber = 0;
  #fd: number | undefined;
  #chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  /** Bytes read and not yet decoded: the beginning of a line. */
  #rest: Buffer = Buffer.alloc(0);
  #lines: string[] = [];
  #next = 0;

  /** @throws {ConfigError} when the file cannot be opened */
  constructor(
    readonly path: string,
    /** Where the user named the file, for errors. */
    flag: string,
  ) {
    try {
      this.#fd = openSync(path, 'r');
    } catch (cause) {
      throw unreadable(flag, path, cause);
    }
  }

  /** The next line without its end; `undefined` after the last one. */
  next(): string | undefined {
    while (this.#next >= this.#lines.length) {
      if (this.#fd === undefined) return undefined;
      this.#fill(this.#fd);
    }
    this.lineNumber++;
    return this.#lines[this.#next++];
  }

  close(): void {
    if (this.#fd === undefined) return;
    closeSync(this.#fd);
    this.#fd = undefined;
    this.#lines = [];
    this.#next = 0;
  }

  #fill(fd: number): void {
    const size = this.#read(fd);
    const bytes = Buffer.concat([this.#rest, this.#chunk.subarray(0, size)]);
    const end = size === 0 ? bytes.length : bytes.lastIndexOf(NEWLINE) + 1;
    if (end === 0 && bytes.length > LONGEST_LINE_BYTES) {
      throw new ConfigError(
        `${this.path}:${this.lineNumber + 1}`,
        'lines of text',
        'one of 64 MiB',
      );
    }
    const text = bytes.toString('utf8', 0, end);
    this.#rest = bytes.subarray(end);
    this.#lines = text.length === 0 ? [] : text.split(/\r?\n/);
    // The text ends with a newline, after which `split` sees one more, empty line.
    if (text.endsWith('\n')) this.#lines.pop();
    this.#next = 0;
    if (size === 0) {
      closeSync(fd);
      this.#fd = undefined;
    }
  }

  #read(fd: number): number {
    try {
      return readSync(fd, this.#chunk, 0, CHUNK_BYTES, null);
    } catch (cause) {
      throw unreadable(this.path, this.path, cause);
    }
  }
}

/** What the operating system said about a path, as the user's error. */
export function unreadable(where: string, path: string, cause: unknown): ConfigError {
  const code = (cause as { code?: string }).code;
  const got = {
    ENOENT: `no such file: ${path}`,
    EISDIR: `a directory: ${path}`,
    EACCES: `a file that may not be read: ${path}`,
  }[code ?? ''];
  return new ConfigError(where, 'a readable file', got ?? `${path} (${code ?? String(cause)})`);
}
