/** Files a user asked for: opened before anything is simulated, their folder made if only that is missing. */

import { accessSync, closeSync, constants, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { ConfigError } from '../core/errors.js';

/** @throws {ConfigError} naming the flag */
export function openOutput(flag: string, path: string): number {
  try {
    return openSync(path, 'w');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw unwritable(flag, path, cause);
  }
  try {
    mkdirSync(dirname(path));
    return openSync(path, 'w');
  } catch (cause) {
    throw unwritable(flag, path, cause);
  }
}

/** Refuses a file that cannot be written. */
export const checkOutput = (flag: string, path: string): void => closeSync(openOutput(flag, path));

/** Refuses a folder that nothing can be written to; made where only it is missing. */
export function checkFolder(flag: string, path: string): void {
  try {
    mkdirSync(path);
  } catch {
    // Mostly because it is there.
  }
  try {
    accessSync(path, constants.W_OK);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new ConfigError(flag, 'a folder that can be written to', `${path} (${code})`);
  }
}

export const unwritable = (flag: string, path: string, cause: unknown): ConfigError =>
  new ConfigError(
    flag,
    'a file that can be written',
    `${path} (${(cause as NodeJS.ErrnoException).code ?? String(cause)})`,
  );
