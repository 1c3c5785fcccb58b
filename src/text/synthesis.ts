/**
 * Text that tokenises to exactly as many tokens as were generated, made one token at a time.
 *
 * Every word used is one token together with the space before it (verified against the vocabulary
 * when it is first used), and no vocabulary merges across a pre-token, which begins at each such space
 * and at each punctuation mark. So the i-th word of the text is its i-th token, whatever stands beside
 * it, and encoding the joined text gives back the same tokens.
 *
 * The text is a function of (seed, i) alone: 32-token blocks have a template of sentences chosen by
 * hashing (seed, block), and each slot's word is chosen by hashing (seed, i). Token i costs the same
 * wherever it is asked for, and nothing is kept per stream.
 */

import { invariant } from '../core/errors.js';
import { mix } from './hash.js';
import type { Tokenizer } from './tokenizer.js';
import { SENTENCES, WORDS } from './words.js';

/** Tokens per block; blocks are whole sentences. */
const BLOCK = 32;
const NUM_TEMPLATES = 512;
/** One block in four ends its paragraph, where the vocabulary has a token for that. */
const PARAGRAPH_EVERY = 4;

const CLASS_OF = {
  D: 'determiner',
  N: 'noun',
  A: 'adjective',
  V: 'verb',
  I: 'intransitive',
  R: 'adverb',
  P: 'preposition',
  C: 'conjunction',
  '&': 'and',
  O: 'opener',
} as const satisfies Record<string, keyof typeof WORDS>;

/** The words of one place in a sentence: texts, the same escaped for JSON, and token ids. */
interface SlotWords {
  readonly pieces: readonly string[];
  readonly tokens: readonly number[];
}

/** A text without end, made from a seed; token i can be asked for in any order. */
export interface TextStream {
  /** The text of token i. */
  piece(i: number): string;
  /** The id of token i in the tokenizer's vocabulary. */
  token(i: number): number;
  /** The text of tokens `from` to `to` − 1. */
  text(from: number, to: number): string;
}

/** What a vocabulary can say: its words by slot, its sentences as templates of slots. */
export class Lexicon {
  readonly #slots: readonly SlotWords[];
  /** Slot numbers, `BLOCK` per template. */
  readonly #templates: Uint8Array;
  readonly #afterBreak: readonly number[];
  readonly #breakSlot: number;
  readonly #adverb: number;

  constructor(tokenizer: Tokenizer) {
    const slots: SlotWords[] = [];
    const slotOf = new Map<string, number>();
    const add = (key: string, texts: readonly string[]): number => {
      const kept = texts.map((text) => [text, oneToken(tokenizer, text)] as const);
      const words = kept.filter((entry): entry is [string, number] => entry[1] !== undefined);
      if (words.length === 0) return -1;
      slots.push({ pieces: words.map(([text]) => text), tokens: words.map(([, id]) => id) });
      slotOf.set(key, slots.length - 1);
      return slots.length - 1;
    };
    for (const [letter, name] of Object.entries(CLASS_OF)) {
      const capital = WORDS[name].map(capitalised);
      const inside = add(
        letter,
        WORDS[name].map((word) => ` ${word}`),
      );
      const first = add(
        `^${letter}`,
        capital.map((word) => ` ${word}`),
      );
      const afterBreak = add(`#${letter}`, capital);
      invariant(inside >= 0 && first >= 0 && afterBreak >= 0, `${tokenizer.name} has words`);
    }
    for (const mark of ['.', ',']) {
      invariant(add(mark, [mark]) >= 0, `${tokenizer.name} has punctuation`);
    }
    this.#slots = slots;
    this.#adverb = slotOf.get('R')!;
    this.#breakSlot = add('¶', ['.\n\n']);
    this.#afterBreak = slots.map((_, slot) => {
      const key = [...slotOf].find(([, at]) => at === slot)![0];
      return key.startsWith('^') ? slotOf.get(`#${key.slice(1)}`)! : slot;
    });
    this.#templates = templates((key) => slotOf.get(key)!);
    this.#check(tokenizer);
  }

  /** The endless text of `seed` (any finite number). */
  stream(seed: number): TextStream {
    const mixed = mixSeed(seed);
    return {
      piece: (i) => this.piece(mixed, i),
      token: (i) => {
        const words = this.#slots[this.#slotAt(mixed, i)]!;
        return words.tokens[choose(mixed, i, words.tokens.length)]!;
      },
      text: (from, to) => {
        let text = '';
        for (let i = from; i < to; i++) text += this.piece(mixed, i);
        return text;
      },
    };
  }

  /** The text of token i of a seed that `mixSeed` has mixed: the form without an object per stream. */
  piece(mixedSeed: number, i: number): string {
    const { pieces } = this.#slots[this.#slotAt(mixedSeed, i)]!;
    return pieces[choose(mixedSeed, i, pieces.length)]!;
  }

  /** Another word of the same kind for token i, the k-th; may repeat. */
  alternative(mixedSeed: number, i: number, k: number): string {
    const { pieces } = this.#slots[this.#slotAt(mixedSeed, i)]!;
    return pieces[choose(mixedSeed ^ mix(k), i, pieces.length)]!;
  }

  /**
   * What to say in the last tokens of a text of `numTokens` so that it ends in a full stop: one token
   * after a word, two after a sentence that has just ended; none where there is no room.
   */
  ending(mixedSeed: number, numTokens: number): readonly string[] {
    const isWord = (i: number) => /\w$/.test(this.piece(mixedSeed, i));
    if (numTokens >= 2 && isWord(numTokens - 2)) return ['.'];
    if (numTokens < 3) return [];
    const { pieces } = this.#slots[this.#adverb]!;
    return [pieces[choose(mixedSeed, numTokens, pieces.length)]!, '.'];
  }

  #slotAt(seed: number, i: number): number {
    const at = i & (BLOCK - 1);
    const block = (i - at) / BLOCK;
    const slot = this.#templates[choose(~seed, block, NUM_TEMPLATES) * BLOCK + at]!;
    if (at === 0) return this.#breaksAfter(seed, block - 1) ? this.#afterBreak[slot]! : slot;
    return at === BLOCK - 1 && this.#breaksAfter(seed, block) ? this.#breakSlot : slot;
  }

  /** Whether a paragraph ends with `block`; the text begins as if one had ended before it. */
  #breaksAfter(seed: number, block: number): boolean {
    return (
      block < 0 || (this.#breakSlot >= 0 && choose(seed ^ 0x55555555, block, PARAGRAPH_EVERY) === 0)
    );
  }

  /** Encodes a few hundred tokens once: a vocabulary that cuts text otherwise is found out here. */
  #check(tokenizer: Tokenizer): void {
    const { text, token } = this.stream(1);
    const encoded = tokenizer.encode(text(0, 512));
    const same = encoded.length === 512 && encoded.every((id, i) => id === token(i));
    invariant(same, `${tokenizer.name} encodes synthesised text to its own tokens`);
  }
}

const lexicons = new WeakMap<Tokenizer, Lexicon>();

/** The lexicon of `tokenizer`, built (some ms) when it is first asked for. */
export function lexiconOf(tokenizer: Tokenizer): Lexicon {
  let lexicon = lexicons.get(tokenizer);
  if (!lexicon) {
    lexicon = new Lexicon(tokenizer);
    lexicons.set(tokenizer, lexicon);
  }
  return lexicon;
}

/** The endless text of `seed`, one token at a time. */
export function textStream(seed: number, tokenizer: Tokenizer): TextStream {
  return lexiconOf(tokenizer).stream(seed);
}

/** Text of exactly `numTokens` tokens, and the text of each of them. */
export function synthesise(
  numTokens: number,
  seed: number,
  tokenizer: Tokenizer,
): { readonly text: string; readonly pieces: string[] } {
  const lexicon = lexiconOf(tokenizer);
  const mixed = mixSeed(seed);
  const pieces: string[] = new Array(numTokens);
  let text = '';
  for (let i = 0; i < numTokens; i++) {
    const piece = lexicon.piece(mixed, i);
    pieces[i] = piece;
    text += piece;
  }
  return { text, pieces };
}

/** 32 well-mixed bits of any finite number; seeds that differ only in high bits stay different. */
export function mixSeed(seed: number): number {
  const low = seed | 0;
  const high = Math.floor(seed / 2 ** 32) | 0;
  const fraction = ((seed - Math.floor(seed)) * 2 ** 32) | 0;
  return mix(low ^ mix(high ^ mix(fraction ^ 0x5bd1e995)));
}

/** An index below `length` (at most 65536), from two 32-bit numbers. */
function choose(seed: number, i: number, length: number): number {
  return ((mix(seed ^ Math.imul(i, 0x9e3779b1)) >>> 16) * length) >>> 16;
}

function oneToken(tokenizer: Tokenizer, text: string): number | undefined {
  const tokens = tokenizer.encode(text);
  return tokens.length === 1 ? tokens[0] : undefined;
}

const capitalised = (word: string): string => word[0]!.toUpperCase() + word.slice(1);

/** Random rows of sentences, each exactly `BLOCK` tokens long; the same for every vocabulary. */
function templates(slotOf: (key: string) => number): Uint8Array {
  const shortest = Math.min(...SENTENCES.map(({ length }) => length));
  const rows = new Uint8Array(NUM_TEMPLATES * BLOCK);
  let draw = 0;
  for (let row = 0; row < NUM_TEMPLATES; ) {
    const slots: string[] = [];
    while (slots.length < BLOCK) {
      const left = BLOCK - slots.length;
      const fits = SENTENCES.filter(({ length }) => length === left || length <= left - shortest);
      if (fits.length === 0) break;
      const [first, ...rest] = fits[choose(BLOCK, ++draw, fits.length)]!;
      slots.push(`^${first}`, ...rest);
    }
    if (slots.length === BLOCK) rows.set(slots.map(slotOf), BLOCK * row++);
  }
  return rows;
}
