import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  builtInTokenizer,
  type ChatMessage,
  chatTemplateOf,
  contentOfAnswer,
  OFF_THREAD_CHARS,
  OutputText,
  type PreparedPrompt,
  PromptTokenizer,
  preparePrompt,
  renderChat,
  renderCompletion,
  renderTokens,
  synthesise,
  type Tokenizer,
} from '../../src/text/index.js';

let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await builtInTokenizer('cl100k_base');
});
const chatml = chatTemplateOf('qwen');
const prepare = (messages: readonly ChatMessage[]) =>
  preparePrompt(renderChat(messages, chatml), tokenizer);
const words = (numTokens: number, seed: number) => synthesise(numTokens, seed, tokenizer).text;
const user = (content: string): ChatMessage => ({ role: 'user', content });

/** Tokens of `b` that a cache holding `a` knows, going by identity. */
function sharedTokens(a: PreparedPrompt, b: PreparedPrompt): number {
  let shared = 0;
  for (const [i, { content, length }] of b.segments.entries()) {
    if (a.segments[i]?.content !== content || a.segments[i]?.length !== length) break;
    shared += length;
  }
  return shared;
}

describe('preparePrompt', () => {
  it('counts special tokens and texts', () => {
    // ChatML: 3 special tokens; "user", "\n", "hi"; "\n"; "assistant", "\n".
    expect(prepare([user('hi')]).numTokens).toBe(9);
  });

  it('counts what the tokenizer counts', () => {
    const texts = fc.string({ unit: 'grapheme', maxLength: 200 });
    fc.assert(
      fc.property(texts, (text) => {
        const { numTokens, segments } = preparePrompt(renderCompletion(text, chatml), tokenizer);
        expect(numTokens).toBe(tokenizer.count(text));
        expect(segments.reduce((sum, { length }) => sum + length, 0)).toBe(numTokens);
      }),
    );
  });

  it('knows a shared beginning, to the block', () => {
    const system = { role: 'system', content: words(1_000, 1) };
    const [a, b] = [2, 3].map((seed) => prepare([system, user(words(300, seed))]));
    const shared = sharedTokens(a!, b!);
    expect(shared).toBeGreaterThan(985);
    expect(shared).toBeLessThanOrEqual(1_010);
  });

  it('takes token ids as they are, and knows them for the same as their text', () => {
    const text = words(100, 6);
    const fromText = preparePrompt(renderCompletion(text, chatml), tokenizer);
    const fromTokens = preparePrompt(renderTokens(tokenizer.encode(text)), tokenizer);
    expect(fromTokens).toEqual(fromText);
  });

  it('shares nothing between prompts that differ from the start', () => {
    const [a, b] = [prepare([user(words(100, 1))]), prepare([user(words(100, 2))])];
    expect(sharedTokens(a, b)).toBe(0);
  });

  it('knows an earlier prompt and its answer in the next turn of a conversation', () => {
    const first = [user(words(333, 4))];
    const asked = prepare(first);
    const output = new OutputText({ tokenizer, seed: 5, maxTokens: 77, finishReason: 'stop' });
    const answer = output.text();
    const next = prepare([...first, { role: 'assistant', content: answer }, user('And then?')]);
    const after = [...asked.segments, { content: contentOfAnswer(answer), length: 77 }];
    expect(next.segments.slice(0, after.length)).toEqual(after);
  });
});

describe('PromptTokenizer', () => {
  const large = () => renderChat([user(words(OFF_THREAD_CHARS / 4, 8))], chatml);

  it('tokenises large prompts on a worker, with the same result', async () => {
    const prompts = new PromptTokenizer();
    const prepared = await Promise.all([1, 2].map(() => prompts.prepare(large(), tokenizer)));
    const expected = preparePrompt(large(), tokenizer);
    expect(prepared).toEqual([expected, expected]);
    expect(prompts.usesWorker).toBe(true);
    await prompts.close();
  });

  it('answers at once, without a worker, where the prompt is small', () => {
    const prompts = new PromptTokenizer();
    expect(prompts.prepare(renderCompletion('hi', chatml), tokenizer)).toHaveProperty(
      'numTokens',
      1,
    );
    expect(prompts.usesWorker).toBe(false);
  });

  it('finishes inline what a closed worker leaves, and what comes later', async () => {
    const prompts = new PromptTokenizer();
    const pending = prompts.prepare(large(), tokenizer);
    await prompts.close();
    const expected = preparePrompt(large(), tokenizer);
    expect(await pending).toEqual(expected);
    expect(prompts.prepare(large(), tokenizer)).toEqual(expected);
  });

  it('tokenises inline with a vocabulary that the worker cannot load', async () => {
    const prompts = new PromptTokenizer();
    const named: Tokenizer = {
      name: 'no/such/file.json',
      count: (text) => tokenizer.count(text),
      encode: (text) => tokenizer.encode(text),
      piece: (token) => tokenizer.piece(token),
    };
    expect(await prompts.prepare(large(), named)).toEqual(preparePrompt(large(), tokenizer));
    await prompts.close();
  });
});
