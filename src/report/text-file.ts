/**
 * A text file that is written while a run goes on: collected into chunks and written synchronously, so
 * memory does not grow with the run and a simulation has nothing to wait for.
 */

import { closeSync, writeSync } from 'node:fs';
import { openOutput, unwritable } from './output-file.js';

const CHUNK_CHARS = 65_536;

export class TextFile {
  readonly #fd: number;
  #chunk = '';

  /** @throws {ConfigError} when the file cannot be written, before anything is simulated */
  constructor(
    private readonly flag: string,
    private readonly path: string,
  ) {
    this.#fd = openOutput(flag, path);
  }

  write(text: string): void {
    this.#chunk += text;
    if (this.#chunk.length >= CHUNK_CHARS) this.#flush();
  }

  close(): void {
    this.#flush();
    closeSync(this.#fd);
  }

  #flush(): void {
    // A write may take a part only (a pipe, a full disk).
    let rest = Buffer.from(this.#chunk);
    this.#chunk = '';
    try {
      while (rest.length > 0) rest = rest.subarray(writeSync(this.#fd, rest));
    } catch (cause) {
      throw unwritable(this.flag, this.path, cause);
    }
  }
}
