import fc from 'fast-check';
import ranks from 'gpt-tokenizer/bpeRanks/r50k_base';
import { describe, expect, it } from 'vitest';
import { BpeTokenizer, builtInTokenizer, vocabularyFromJson } from '../../src/text/index.js';

/** GPT-2's spelling of bytes, written the other way round than in the reader. */
function spell(piece: string | readonly number[]): string {
  const bytes = typeof piece === 'string' ? [...new TextEncoder().encode(piece)] : piece;
  return bytes
    .map((byte) => {
      if (byte <= 0x20) return 0x100 + byte;
      if (byte >= 0x7f && byte <= 0xa0) return 0x121 + byte - 0x7f;
      return byte === 0xad ? 0x143 : byte;
    })
    .map((code) => String.fromCodePoint(code))
    .join('');
}

const byteLevel = { type: 'ByteLevel', add_prefix_space: false };
const split = (Regex: string) => ({
  type: 'Sequence',
  pretokenizers: [{ type: 'Split', pattern: { Regex } }, byteLevel],
});
/** All bytes in GPT-2's order, and the merges h+e, l+l, he+ll, hell+o. */
function tiny(overrides: object = {}) {
  const vocab: Record<string, number> = {};
  for (let byte = 0; byte < 256; byte++) vocab[spell([byte])] = byte;
  for (const word of ['he', 'll', 'hell', 'hello']) vocab[word] = Object.keys(vocab).length;
  const merges = ['h e', 'l l', 'he ll', 'hell o'];
  return {
    added_tokens: [{ id: 300, content: '<|eot|>', special: true }],
    pre_tokenizer: byteLevel,
    model: { type: 'BPE', vocab, merges },
    ...overrides,
  };
}

describe('vocabularyFromJson', () => {
  it('reads bytes, merges and added tokens', () => {
    const tokenizer = new BpeTokenizer(vocabularyFromJson(tiny(), 'tiny.json'));
    expect(tokenizer.encode('hello<|eot|> é')).toEqual([259, 300, 0x20, 0xc3, 0xa9]);
    expect(tokenizer.piece(259)).toBe('hello');
    expect(tokenizer.piece(0xc3)).toEqual(Uint8Array.of(0xc3));
  });

  it('takes the file’s own pattern, inline flags included', () => {
    const file = tiny({ pre_tokenizer: split("(?i:'s|'ll)|\\p{L}+|[^\\p{L}]") });
    const { splitRegex } = vocabularyFromJson(file, 'tiny.json');
    expect("she'LL'S".match(splitRegex)).toEqual(['she', "'LL", "'S"]);
  });

  it('normalises as the model does', () => {
    const vocabulary = vocabularyFromJson(tiny({ normalizer: { type: 'NFC' } }), 'tiny.json');
    expect(new BpeTokenizer(vocabulary).encode('e\u0301')).toEqual([0xc3, 0xa9]);
  });

  it('gives the ids of the built-in vocabulary for the same vocabulary as a file', async () => {
    const vocab: Record<string, number> = {};
    ranks.forEach((piece, id) => {
      vocab[spell(piece)] = id;
    });
    const file = { pre_tokenizer: byteLevel, model: { type: 'BPE', vocab, merges: [] } };
    const fromFile = new BpeTokenizer(vocabularyFromJson(file, 'gpt2.json'));
    const builtIn = await builtInTokenizer('r50k_base');
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 50 }), (text) => {
        expect(fromFile.encode(text)).toEqual(builtIn.encode(text));
      }),
    );
  });

  it.each([
    [{ model: { type: 'Unigram' } }, 't.json: model.type: expected "BPE", got "Unigram"'],
    [{ model: undefined }, 't.json: model: expected an object, got nothing'],
    [{ added_tokens: [{ id: 1 }] }, 't.json: added_tokens[0]: expected content and id'],
    [{ pre_tokenizer: { type: 'Metaspace' } }, 't.json: pre_tokenizer: expected a ByteLevel'],
    [{ pre_tokenizer: split('(?<') }, 'Split.pattern.Regex: expected an expression JavaScript has'],
    [
      { model: { type: 'BPE', vocab: { '▁the': 0 }, merges: [] } },
      't.json: model.vocab: expected byte-level tokens',
    ],
    [
      { model: { type: 'BPE', vocab: { he: 9, ll: 8 }, merges: ['h e', 'l l'] } },
      't.json: model.merges[1]: expected token ids in the order of merges',
    ],
  ])('refuses a file it cannot follow: %#', (overrides, message) => {
    expect(() => vocabularyFromJson(tiny(overrides), 't.json')).toThrow(message);
  });
});
