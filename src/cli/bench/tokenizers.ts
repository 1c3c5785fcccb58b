/** Which tokenizer a benchmark makes prompts with, and whether it may count answers. */

import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../core/errors.js';
import { type Tokenizer, tokenizerFor } from '../../text/index.js';
import type { Reader } from '../simulate-flags.js';

export interface TokenizerUse {
  readonly tokenizer: Tokenizer;
  /** For the result; null: tokens are estimated where the server does not count them. */
  readonly id: string | null;
  readonly counts: boolean;
  /** Where another thread finds it. */
  readonly origin: { readonly name: string; readonly path?: string | undefined };
  /** What to beware of: another vocabulary than the model's. */
  readonly note?: string | undefined;
}

/** @throws {ConfigError} */
export async function tokenizerOf(given: Reader, model: string): Promise<TokenizerUse> {
  const mode = given.text('tokenizer_mode') ?? 'auto';
  if (mode !== 'auto' && mode !== 'slow') {
    const hint = 'Use auto (the default) or slow.';
    throw new ConfigError('--tokenizer-mode', 'auto or slow', mode, hint);
  }
  const wanted = given.text('tokenizer');
  const path = wanted === undefined ? undefined : fileOf(wanted);
  const { tokenizer, exact, note } = await tokenizerFor(wanted ?? model, path);
  const origin = { name: wanted ?? model, path };
  if (given.flag('skip_tokenizer_init')) return { tokenizer, id: null, counts: false, origin };
  // Only a tokenizer that was asked for, or that is the model's own, is better than the server's silence.
  const counts = wanted !== undefined || exact;
  const id = counts ? (wanted ?? tokenizer.name) : null;
  return { tokenizer, id, counts, origin, note: exact ? undefined : note };
}

/** A tokenizer.json, or the folder it is in; a name of a model is none. */
function fileOf(wanted: string): string | undefined {
  if (!existsSync(wanted)) {
    if (/\.json$|^[./~]/.test(wanted))
      throw new ConfigError('--tokenizer', 'a readable file', wanted);
    return undefined;
  }
  return statSync(wanted).isDirectory() ? join(wanted, 'tokenizer.json') : wanted;
}
