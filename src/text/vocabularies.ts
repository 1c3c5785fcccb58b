/**
 * Which vocabulary counts the tokens of which model.
 *
 * Three come with the program (through gpt-tokenizer) and are loaded when first asked for, each once
 * per process: o200k (GPT-4o, gpt-oss), cl100k (GPT-4), r50k (GPT-2, OPT). Any other model is counted
 * by the nearest of them, and the choice says so: Llama 3 and Qwen extended cl100k, so English counts
 * agree within a few percent. A `tokenizer.json` given by the user is exact.
 */

import { readFile } from 'node:fs/promises';
import { ConfigError } from '../core/errors.js';
import { BpeTokenizer, type Tokenizer, type Vocabulary } from './tokenizer.js';
import { vocabularyFromJson } from './tokenizer-json.js';

export const BUILT_IN_VOCABULARIES = ['o200k_base', 'cl100k_base', 'r50k_base'] as const;
export type BuiltInName = (typeof BUILT_IN_VOCABULARIES)[number];

export interface TokenizerChoice {
  readonly tokenizer: Tokenizer;
  /** Whether this is the model's own vocabulary. */
  readonly exact: boolean;
  /** One sentence for a log or a report: what counts the tokens, and why. */
  readonly note: string;
}

/** First match wins; `exact` where the model really uses it. */
const NEAREST: readonly { pattern: RegExp; vocabulary: BuiltInName; exact: boolean }[] = [
  {
    pattern: /\bgpt-?oss|gpt-?4o|gpt-?4\.1|gpt-?5|\bo[134]\b/,
    vocabulary: 'o200k_base',
    exact: true,
  },
  { pattern: /gpt-?4|gpt-?3\.5|embedding-/, vocabulary: 'cl100k_base', exact: true },
  { pattern: /\bopt-|gpt-?2\b|gpt-?neo|gpt-?j\b/, vocabulary: 'r50k_base', exact: true },
  {
    pattern: /llama-?3|llama-?4|qwen|qwq|phi-?[34]|codellama/,
    vocabulary: 'cl100k_base',
    exact: false,
  },
];

const builtIns = new Map<BuiltInName, Promise<Tokenizer>>();

/** One of the vocabularies that come with the program. */
export function builtInTokenizer(name: BuiltInName): Promise<Tokenizer> {
  let loading = builtIns.get(name);
  if (!loading) {
    loading = loadBuiltIn(name).then((vocabulary) => new BpeTokenizer(vocabulary));
    builtIns.set(name, loading);
  }
  return loading;
}

/** The name of the built-in vocabulary nearest to `model`, and whether it is the model's own. */
export function nearestVocabulary(model: string): { vocabulary: BuiltInName; exact: boolean } {
  const name = model.toLowerCase();
  const known = NEAREST.find(({ pattern }) => pattern.test(name));
  return known ?? { vocabulary: 'o200k_base', exact: false };
}

/**
 * The tokenizer of `model`: read from `tokenizerPath` when given, else the nearest built-in one.
 *
 * @throws {ConfigError} when the file is not a byte-level BPE tokenizer.json.
 */
export async function tokenizerFor(
  model: string,
  tokenizerPath?: string,
): Promise<TokenizerChoice> {
  if (tokenizerPath !== undefined) {
    const vocabulary = vocabularyFromJson(await readJson(tokenizerPath), tokenizerPath);
    return {
      tokenizer: new BpeTokenizer(vocabulary),
      exact: true,
      note: `tokens of ${model} are counted by ${tokenizerPath}`,
    };
  }
  const { vocabulary, exact } = nearestVocabulary(model);
  return {
    tokenizer: await builtInTokenizer(vocabulary),
    exact,
    note: exact
      ? `tokens of ${model} are counted by ${vocabulary}, its own vocabulary`
      : `tokens of ${model} are counted by ${vocabulary}, the nearest built-in vocabulary; give a tokenizer.json for its own`,
  };
}

/** The tokenizer that has this `Tokenizer.name`. */
export async function tokenizerByName(name: string): Promise<Tokenizer> {
  const builtIn = BUILT_IN_VOCABULARIES.find((known) => known === name);
  return builtIn ? builtInTokenizer(builtIn) : (await tokenizerFor(name, name)).tokenizer;
}

async function readJson(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new ConfigError(path, 'a readable tokenizer.json', (cause as NodeJS.ErrnoException).code);
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new ConfigError(path, 'JSON', `${text.slice(0, 40)}…`);
  }
}

async function loadBuiltIn(name: BuiltInName): Promise<Vocabulary> {
  switch (name) {
    case 'o200k_base': {
      const [ranks, { O200KBase }] = await Promise.all([
        import('gpt-tokenizer/bpeRanks/o200k_base'),
        import('gpt-tokenizer/encodingParams/o200k_base'),
      ]);
      return fromParams(name, O200KBase(ranks.default));
    }
    case 'cl100k_base': {
      const [ranks, { Cl100KBase }] = await Promise.all([
        import('gpt-tokenizer/bpeRanks/cl100k_base'),
        import('gpt-tokenizer/encodingParams/cl100k_base'),
      ]);
      return fromParams(name, Cl100KBase(ranks.default));
    }
    case 'r50k_base': {
      const [ranks, { R50KBase }] = await Promise.all([
        import('gpt-tokenizer/bpeRanks/r50k_base'),
        import('gpt-tokenizer/encodingParams/r50k_base'),
      ]);
      return fromParams(name, R50KBase(ranks.default));
    }
  }
}

function fromParams(
  name: string,
  params: {
    readonly bytePairRankDecoder: Vocabulary['ranks'];
    readonly tokenSplitRegex: RegExp;
    readonly specialTokensEncoder: Map<string, number>;
  },
): Vocabulary {
  return {
    name,
    ranks: params.bytePairRankDecoder,
    splitRegex: params.tokenSplitRegex,
    specialTokens: params.specialTokensEncoder,
  };
}
