/** What the package refuses is a result here: a row that cannot be, not an error. */

import { ConfigError } from '../../src/core/errors.js';

/** @returns what `made` returns, or `undefined` where it is refused. */
export function unlessRefused<T>(made: () => T): T | undefined {
  try {
    return made();
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}
