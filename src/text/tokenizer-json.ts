/**
 * Reads a Hugging Face `tokenizer.json` whose model is a byte-level BPE (Llama 3, Qwen, GPT-2, most
 * others of today).
 *
 * Such a file spells bytes as printable characters (GPT-2's table), lists the vocabulary by id, and
 * names a regular expression that cuts text into pre-tokens. Merging by smallest id is the same as
 * merging by the list of merges wherever ids are in the order of merges, which is checked.
 */

import { ConfigError } from '../core/errors.js';
import type { Vocabulary } from './tokenizer.js';

interface Json {
  readonly [key: string]: unknown;
}

/** GPT-2's pattern: what a ByteLevel pre-tokenizer uses when it brings none of its own. */
const GPT2_SPLIT = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** @throws {ConfigError} naming `path` and the field that is not as expected. */
export function vocabularyFromJson(file: unknown, path: string): Vocabulary {
  const root = object(file, path);
  const model = object(root.model, `${path}: model`);
  if (model.type !== undefined && model.type !== 'BPE') {
    throw new ConfigError(`${path}: model.type`, '"BPE"', model.type);
  }
  const vocab = object(model.vocab, `${path}: model.vocab`) as Readonly<Record<string, number>>;
  const specialTokens = addedTokens(root, path);
  checkMergeOrder(model, vocab, path);
  return {
    name: path,
    ranks: ranksOf(vocab, specialTokens, path),
    splitRegex: splitRegexOf(root.pre_tokenizer, `${path}: pre_tokenizer`),
    specialTokens,
    ...normalizationOf(root.normalizer),
  };
}

function addedTokens(root: Json, path: string): Map<string, number> {
  const tokens = new Map<string, number>();
  if (root.added_tokens === undefined) return tokens;
  if (!Array.isArray(root.added_tokens)) {
    throw new ConfigError(`${path}: added_tokens`, 'a list', root.added_tokens);
  }
  for (const [i, entry] of root.added_tokens.entries()) {
    const { content, id } = object(entry, `${path}: added_tokens[${i}]`);
    if (typeof content !== 'string' || typeof id !== 'number') {
      throw new ConfigError(`${path}: added_tokens[${i}]`, 'content and id', entry);
    }
    if (content !== '') tokens.set(content, id);
  }
  return tokens;
}

/** A few thousand merges tell: each makes a token that exists, later merges larger ids. */
function checkMergeOrder(model: Json, vocab: Readonly<Record<string, number>>, path: string): void {
  if (!Array.isArray(model.merges)) {
    throw new ConfigError(`${path}: model.merges`, 'a list of merges', model.merges);
  }
  let last = -1;
  for (const [i, merge] of model.merges.entries()) {
    const merged = Array.isArray(merge) ? merge.join('') : String(merge).replace(' ', '');
    const id = vocab[merged];
    if (id === undefined) continue;
    if (id < last) {
      throw new ConfigError(
        `${path}: model.merges[${i}]`,
        'token ids in the order of merges',
        merged,
        'leave the tokenizer out: the nearest built-in vocabulary is used then',
      );
    }
    last = id;
  }
}

function ranksOf(
  vocab: Readonly<Record<string, number>>,
  specialTokens: ReadonlyMap<string, number>,
  path: string,
): (string | number[])[] {
  const byteOf = byteOfCharacter();
  const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const ranks: (string | number[])[] = [];
  for (const [spelled, id] of Object.entries(vocab)) {
    if (specialTokens.has(spelled)) continue;
    const bytes: number[] = [];
    for (const character of spelled) {
      const byte = byteOf.get(character);
      if (byte === undefined) {
        throw new ConfigError(
          `${path}: model.vocab`,
          'byte-level tokens (bytes spelled as in GPT-2)',
          spelled,
          'SentencePiece vocabularies are not read; leave the tokenizer out to use a built-in one',
        );
      }
      bytes.push(byte);
    }
    try {
      ranks[id] = utf8.decode(Uint8Array.from(bytes));
    } catch {
      ranks[id] = bytes;
    }
  }
  return ranks;
}

/** GPT-2 spells printable Latin-1 bytes as themselves and the other 68 as characters from U+0100 on. */
function byteOfCharacter(): Map<string, number> {
  const table = new Map<string, number>();
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const printable =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    table.set(String.fromCodePoint(printable ? byte : next++), byte);
  }
  return table;
}

function splitRegexOf(preTokenizer: unknown, path: string): RegExp {
  const node = object(preTokenizer, path);
  const parts = Array.isArray(node.pretokenizers) ? (node.pretokenizers as unknown[]) : [node];
  const steps = parts.map((part, i) => object(part, `${path}.pretokenizers[${i}]`));
  const split = steps.find((step) => step.type === 'Split');
  if (!steps.some((step) => step.type === 'ByteLevel')) {
    throw new ConfigError(path, 'a ByteLevel pre-tokenizer', node.type);
  }
  if (!split) return GPT2_SPLIT;
  const pattern = (split.pattern as { Regex?: unknown } | undefined)?.Regex;
  if (typeof pattern !== 'string') {
    throw new ConfigError(`${path}: Split.pattern.Regex`, 'a regular expression', split.pattern);
  }
  try {
    return new RegExp(withoutInlineFlags(pattern), 'gu');
  } catch {
    throw new ConfigError(`${path}: Split.pattern.Regex`, 'an expression JavaScript has', pattern);
  }
}

/** `(?i:'s|'ll)` becomes `(?:'[sS]|'[lL][lL])`: JavaScript of Node 20 has no inline flags. */
function withoutInlineFlags(pattern: string): string {
  return pattern.replace(/\(\?i:([^()]*)\)/g, (_, inner: string) => {
    return `(?:${inner.replace(/[a-z]/gi, (c) => `[${c.toLowerCase()}${c.toUpperCase()}]`)})`;
  });
}

function normalizationOf(normalizer: unknown): Pick<Vocabulary, 'normalization'> {
  const type = (normalizer as { type?: unknown } | null | undefined)?.type;
  return type === 'NFC' || type === 'NFKC' ? { normalization: type } : {};
}

function object(value: unknown, path: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ConfigError(path, 'an object', value);
  }
  return value as Json;
}
