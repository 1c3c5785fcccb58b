import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  BUILT_IN_VOCABULARIES,
  builtInTokenizer,
  synthesise,
  type Tokenizer,
  textStream,
} from '../../src/text/index.js';

const tokenizers: Tokenizer[] = [];
beforeAll(async () => {
  for (const name of BUILT_IN_VOCABULARIES) tokenizers.push(await builtInTokenizer(name));
});
const eachTokenizer = fc.nat(BUILT_IN_VOCABULARIES.length - 1).map((i) => () => tokenizers[i]!);

describe('synthesise', () => {
  it('makes text that tokenises to exactly the pieces it names', () => {
    fc.assert(
      fc.property(fc.integer(), fc.nat(700), eachTokenizer, (seed, numTokens, tokenizer) => {
        const { text, pieces } = synthesise(numTokens, seed, tokenizer());
        expect(pieces).toHaveLength(numTokens);
        expect(pieces.join('')).toBe(text);
        expect(
          tokenizer()
            .encode(text)
            .map((id) => tokenizer().piece(id)),
        ).toEqual(pieces);
      }),
      { numRuns: 400 },
    );
  });

  it('holds for long texts', () => {
    for (const tokenizer of tokenizers) {
      expect(tokenizer.count(synthesise(100_000, 42, tokenizer).text)).toBe(100_000);
    }
  });

  it('reads like sentences', () => {
    for (const tokenizer of tokenizers) {
      const { text } = synthesise(320, 9, tokenizer);
      expect(text).toMatch(/^([A-Z][a-z]*(,? [a-z]+)*(, [a-z]+)*\.(\s+|$))+$/);
    }
  });

  it('has paragraphs where the vocabulary has a token for their end', () => {
    const [o200k, cl100k, r50k] = tokenizers.map((t) => synthesise(2_000, 1, t).text);
    expect(o200k).toContain('.\n\n');
    expect(cl100k).toContain('.\n\n');
    expect(r50k).not.toContain('\n');
  });

  it('is a function of the seed, and differs between seeds however they differ', () => {
    const [tokenizer] = tokenizers as [Tokenizer];
    expect(synthesise(50, 5, tokenizer)).toEqual(synthesise(50, 5, tokenizer));
    const seeds = [...Array(2_000).keys(), -1, 0.5, 0.25, 2 ** 32, 2 ** 33, 2 ** 52 + 1];
    const texts = new Set(seeds.map((seed) => synthesise(24, seed, tokenizer).text));
    expect(texts.size).toBe(seeds.length);
  });
});

describe('textStream', () => {
  it('gives any token in any order, with its id', () => {
    for (const tokenizer of tokenizers) {
      const stream = textStream(3, tokenizer);
      const { text, pieces } = synthesise(200, 3, tokenizer);
      const ids = tokenizer.encode(text);
      for (let i = 199; i >= 0; i -= 7) {
        expect(stream.piece(i)).toBe(pieces[i]);
        expect(stream.token(i)).toBe(ids[i]);
      }
      expect(stream.text(10, 20)).toBe(pieces.slice(10, 20).join(''));
    }
  });
});
