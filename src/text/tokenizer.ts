/**
 * Text and tokens: what the rest of the program knows of a tokenizer, and the one implementation.
 *
 * The merging is gpt-tokenizer's. Two things are done before it sees a text: special tokens are split
 * off here (the package does not find them in the middle of a text), and no pre-token is longer than
 * `MAX_PRE_TOKEN` characters, because merging is quadratic in its length: a word of 100,000 letters
 * would block the server for seconds. Cutting changes counts only in such words, by about one token
 * per cut.
 */

import { BytePairEncodingCore, type RawBytePairRanks } from 'gpt-tokenizer/BytePairEncodingCore';

export interface Tokenizer {
  /** The vocabulary's name: `o200k_base`, `cl100k_base`, `r50k_base`, or the path of a tokenizer.json. */
  readonly name: string;
  /** Number of tokens of `text`, without a beginning-of-sequence token. */
  count(text: string): number;
  encode(text: string): number[];
  /** The text of one token; bytes where it is not valid UTF-8 by itself. Unknown ids: the empty string. */
  piece(token: number): string | Uint8Array;
}

export interface Vocabulary {
  readonly name: string;
  /** The text or bytes of token i; holes are unused ids. Ids are in the order of merging. */
  readonly ranks: RawBytePairRanks;
  /** Cuts a text into pre-tokens, across which nothing merges. Flags `gu`. */
  readonly splitRegex: RegExp;
  readonly specialTokens: ReadonlyMap<string, number>;
  /** Unicode normalisation the model applies first (Qwen: NFC). */
  readonly normalization?: 'NFC' | 'NFKC';
}

/** Longest pre-token that is merged in one go, in UTF-16 units. English words have a fortieth of it. */
export const MAX_PRE_TOKEN = 512;

export class BpeTokenizer implements Tokenizer {
  readonly name: string;
  readonly #core: BytePairEncodingCore;
  readonly #vocabulary: Vocabulary;
  readonly #special: RegExp | undefined;
  readonly #specialText: ReadonlyMap<number, string>;

  constructor(vocabulary: Vocabulary) {
    this.name = vocabulary.name;
    this.#vocabulary = vocabulary;
    this.#core = new BytePairEncodingCore({
      bytePairRankDecoder: vocabulary.ranks,
      tokenSplitRegex: vocabulary.splitRegex,
      mergeCacheSize: 20_000,
    });
    const specials = [...vocabulary.specialTokens.keys()].sort((a, b) => b.length - a.length);
    if (specials.length > 0) {
      this.#special = new RegExp(specials.map(escapeRegex).join('|'), 'g');
    }
    this.#specialText = new Map([...vocabulary.specialTokens].map(([text, id]) => [id, text]));
  }

  count(text: string): number {
    let count = 0;
    this.#eachPart(
      text,
      (plain) => {
        count += this.#core.countNative(plain);
      },
      () => {
        count++;
      },
    );
    return count;
  }

  encode(text: string): number[] {
    const tokens: number[] = [];
    this.#eachPart(
      text,
      (plain) => {
        for (const token of this.#core.encodeNative(plain)) tokens.push(token);
      },
      (special) => {
        tokens.push(this.#vocabulary.specialTokens.get(special)!);
      },
    );
    return tokens;
  }

  piece(token: number): string | Uint8Array {
    const piece = this.#vocabulary.ranks[token];
    if (piece === undefined) return this.#specialText.get(token) ?? '';
    return typeof piece === 'string' ? piece : Uint8Array.from(piece);
  }

  /** Walks `text` as plain stretches, none with a long pre-token, and the special tokens between them. */
  #eachPart(
    text: string,
    onPlain: (plain: string) => void,
    onSpecial: (special: string) => void,
  ): void {
    const form = this.#vocabulary.normalization;
    const whole = form ? text.normalize(form) : text;
    let from = 0;
    if (this.#special) {
      for (const match of whole.matchAll(this.#special)) {
        this.#eachPlain(whole.slice(from, match.index), onPlain);
        onSpecial(match[0]);
        from = match.index + match[0].length;
      }
    }
    this.#eachPlain(from === 0 ? whole : whole.slice(from), onPlain);
  }

  #eachPlain(text: string, onPlain: (plain: string) => void): void {
    if (text === '') return;
    let from = 0;
    if (hasLongRun(text)) {
      for (const cut of cutsInLongPreTokens(text, this.#vocabulary.splitRegex)) {
        onPlain(text.slice(from, cut));
        from = cut;
      }
    }
    onPlain(from === 0 ? text : text.slice(from));
  }
}

/**
 * Whether some stretch without a change between blank and non-blank is longer than a pre-token may be.
 * Every pre-token is such a stretch, give or take its first character and trailing newlines, so that
 * almost all texts are cleared by this one pass.
 */
function hasLongRun(text: string): boolean {
  if (text.length <= MAX_PRE_TOKEN) return false;
  let blank = false;
  let run = 0;
  for (let i = 0; i < text.length; i++) {
    const isBlank = text.charCodeAt(i) <= 0x20;
    if (isBlank === blank) {
      if (++run >= MAX_PRE_TOKEN / 2) return true;
    } else {
      blank = isBlank;
      run = 1;
    }
  }
  return false;
}

/** Where to cut, so that no pre-token is longer than `MAX_PRE_TOKEN`; never inside a surrogate pair. */
function* cutsInLongPreTokens(text: string, splitRegex: RegExp): Generator<number> {
  for (const match of text.matchAll(splitRegex)) {
    const end = match.index + match[0].length;
    for (let at = match.index + MAX_PRE_TOKEN; at < end; at += MAX_PRE_TOKEN) {
      if (isLowSurrogate(text.charCodeAt(at))) at--;
      yield at;
    }
  }
}

const isLowSurrogate = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;

export const escapeRegex = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
