import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  BUILT_IN_VOCABULARIES,
  type BuiltInName,
  builtInTokenizer,
  MAX_PRE_TOKEN,
  nearestVocabulary,
  type Tokenizer,
  tokenizerFor,
} from '../../src/text/index.js';

const tokenizers = new Map<BuiltInName, Tokenizer>();
beforeAll(async () => {
  for (const name of BUILT_IN_VOCABULARIES) tokenizers.set(name, await builtInTokenizer(name));
});

const utf8 = new TextEncoder();
function textOf(tokenizer: Tokenizer, tokens: readonly number[]): string {
  const bytes = tokens.flatMap((token) => {
    const piece = tokenizer.piece(token);
    return typeof piece === 'string' ? [...utf8.encode(piece)] : [...piece];
  });
  return new TextDecoder().decode(Uint8Array.from(bytes));
}

describe('Tokenizer', () => {
  it.each([
    ['o200k_base', [24912, 2375]],
    ['cl100k_base', [15339, 1917]],
    ['r50k_base', [31373, 995]],
  ] as const)('encodes "hello world" with %s as its authors do', (name, tokens) => {
    expect(tokenizers.get(name)!.encode('hello world')).toEqual(tokens);
  });

  it.each([
    ['o200k_base', 199_999],
    ['cl100k_base', 100_257],
    ['r50k_base', 50_256],
  ] as const)('finds special tokens of %s in the middle of a text', (name, id) => {
    const tokenizer = tokenizers.get(name)!;
    expect(tokenizer.encode('a<|endoftext|>b')).toEqual([
      ...tokenizer.encode('a'),
      id,
      ...tokenizer.encode('b'),
    ]);
    expect(tokenizer.count('<|endoftext|><|endoftext|>')).toBe(2);
    expect(tokenizer.piece(id)).toBe('<|endoftext|>');
  });

  it.each(BUILT_IN_VOCABULARIES)('gives back any text, and counts what it encodes: %s', (name) => {
    const tokenizer = tokenizers.get(name)!;
    const texts = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 60 }),
      fc.string({
        unit: fc.constantFrom('a', 'é', '語', ' ', '\n', '🦙', '1', "'s"),
        maxLength: 80,
      }),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const tokens = tokenizer.encode(text);
        expect(textOf(tokenizer, tokens)).toBe(text);
        expect(tokenizer.count(text)).toBe(tokens.length);
      }),
    );
  });

  it.each([
    ['letters', 'x'.repeat(100_000)],
    ['Chinese', '語言模型'.repeat(5_000)],
    ['blanks', ' '.repeat(50_000)],
    ['emoji', '🦙'.repeat(10_000)],
    ['punctuation', '!?'.repeat(20_000)],
  ])('cuts long pre-tokens, so that merging stays linear: %s', (_, text) => {
    for (const tokenizer of tokenizers.values()) {
      expect(textOf(tokenizer, tokenizer.encode(text))).toBe(text);
    }
  });

  it('cuts nothing where pre-tokens are short, however long the text', () => {
    const tokenizer = tokenizers.get('cl100k_base')!;
    const line = '模型，回答。';
    const perLine = tokenizer.count(line);
    expect(tokenizer.count(line.repeat(MAX_PRE_TOKEN))).toBe(perLine * MAX_PRE_TOKEN);
  });

  it('knows no text for an id that does not exist', () => {
    expect(tokenizers.get('r50k_base')!.piece(1e6)).toBe('');
  });
});

describe('tokenizerFor', () => {
  it.each([
    ['gpt-4o-mini', 'o200k_base', true],
    ['openai/gpt-oss-20b', 'o200k_base', true],
    ['gpt-4-turbo', 'cl100k_base', true],
    ['facebook/opt-6.7b', 'r50k_base', true],
    ['qwen/Qwen3-8B', 'cl100k_base', false],
    ['meta-llama/Llama-3.1-8B-Instruct', 'cl100k_base', false],
    ['some/new-model', 'o200k_base', false],
  ] as const)('counts %s by %s', (model, vocabulary, exact) => {
    expect(nearestVocabulary(model)).toEqual(expect.objectContaining({ vocabulary, exact }));
  });

  it('says when the vocabulary is not the model’s own', async () => {
    const { note, exact } = await tokenizerFor('qwen/Qwen3-8B');
    expect(exact).toBe(false);
    expect(note).toContain('nearest');
  });

  it('loads a vocabulary once', async () => {
    expect(await builtInTokenizer('r50k_base')).toBe(tokenizers.get('r50k_base'));
  });

  it('names a file that is not there', async () => {
    await expect(tokenizerFor('m', 'no/tokenizer.json')).rejects.toThrow(
      'no/tokenizer.json: expected a readable tokenizer.json, got "ENOENT"',
    );
  });
});
