/**
 * A data set: where prompts and lengths come from. It either names rows of a file as ready requests, or
 * a source of lengths whose texts are made when they are needed.
 */

import { ConfigError } from '../../core/errors.js';
import { Rng } from '../../core/rng.js';
import type { Tokenizer } from '../../text/index.js';
import type { BenchRequest } from '../request.js';

/** What a data set is asked for; lengths in tokens. */
export interface DatasetOptions {
  readonly path?: string | undefined;
  readonly seed: number;
  readonly numPrompts: number;
  readonly tokenizer: Tokenizer;
  /** What the backend takes. */
  readonly prompts: 'text' | 'messages' | 'audio';
  /** Given by the user; otherwise each data set has its own. */
  readonly outputLen?: number | undefined;
  readonly inputLen?: number | undefined;
  readonly prefixLen?: number | undefined;
  readonly shuffle: boolean;
  readonly oversample: boolean;
  /** Column that holds the prompt, of a data set from Hugging Face. */
  readonly column?: string | undefined;
  readonly split?: string | undefined;
}

export interface Dataset {
  readonly name: string;
  readonly about: string;
  /** Requests before sampling, in the order of the file. */
  load(options: DatasetOptions): Sample[] | Promise<Sample[]>;
  /** Whether answers must be exactly as long as asked. */
  readonly exactLengths?: boolean;
}

/** A request without its id, which it gets when it is drawn. */
export type Sample = Omit<BenchRequest, 'id'>;

/** The file of a data set. @throws {ConfigError} when none was given */
export function pathOf(options: DatasetOptions, what: string): string {
  if (options.path !== undefined) return options.path;
  throw new ConfigError('--dataset-path', what, undefined);
}

/** Fisher and Yates, by the seed. */
export function shuffled<T>(items: readonly T[], seed: number, purpose: string): T[] {
  const order = [...items];
  const chance = new Rng(seed).stream(purpose);
  for (let i = order.length - 1; i > 0; i--) {
    const j = chance.integer(0, i);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/** The first `numPrompts`, then draws with replacement where there are fewer. */
export function drawn(samples: readonly Sample[], options: DatasetOptions): BenchRequest[] {
  const { numPrompts, oversample, seed } = options;
  if (samples.length === 0) {
    throw new ConfigError('--dataset-path', 'at least one usable row', '0 rows');
  }
  const chance = new Rng(seed).stream('oversample');
  const count = oversample ? numPrompts : Math.min(numPrompts, samples.length);
  return Array.from({ length: count }, (_, i) => {
    const sample = samples[i] ?? samples[chance.integer(0, samples.length - 1)]!;
    return { ...sample, id: String(i) };
  });
}

/** vLLM's rule for conversations worth measuring: nothing tiny, nothing that exceeds old windows. */
export function isUsable(
  promptTokens: number,
  outputTokens: number,
  outputIsForced: boolean,
): boolean {
  if (promptTokens < 4 || (!outputIsForced && outputTokens < 4)) return false;
  return promptTokens <= 1024 && promptTokens + outputTokens <= 2048;
}
