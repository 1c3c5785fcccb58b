import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backendNamed } from '../../src/bench/backends/index.js';
import { newAnswer } from '../../src/bench/request.js';

const read = (name: string, frames: readonly unknown[]) => {
  const answer = newAnswer();
  const kinds = frames.map((frame) =>
    backendNamed(name).read(typeof frame === 'string' ? frame : JSON.stringify(frame), answer),
  );
  return { answer, kinds };
};
const delta = (d: object, finish: string | null = null) => ({
  choices: [{ index: 0, delta: d, finish_reason: finish }],
});

describe('frames of a chat', () => {
  it('take the role for a chunk without text', () => {
    const { kinds, answer } = read('openai-chat', [
      delta({ role: 'assistant', content: '' }),
      delta({ content: 'a' }),
      delta({}, 'stop'),
      '[DONE]',
    ]);
    expect(kinds).toEqual(['empty', 'text', 'empty', 'none']);
    expect([answer.text, answer.finished]).toEqual(['a', true]);
  });

  it('count reasoning and tool calls as text', () => {
    const { kinds } = read('openai-chat', [
      delta({ content: null, reasoning_content: 'so' }),
      delta({ reasoning: 'so' }),
      delta({ tool_calls: [{ function: { arguments: '{"a"' } }] }),
    ]);
    expect(kinds).toEqual(['text', 'text', 'text']);
  });

  it('take usage wherever it stands, the last one', () => {
    const usage = (completion_tokens: number) => ({
      usage: { prompt_tokens: 3, completion_tokens, prompt_tokens_details: { cached_tokens: 2 } },
    });
    const { answer } = read('openai-chat', [
      { ...delta({ content: 'a' }), ...usage(1) },
      { ...delta({ content: 'b' }), ...usage(2) },
    ]);
    expect(answer).toMatchObject({ text: 'ab', outputTokens: 2, promptTokens: 3, cachedTokens: 2 });
  });

  it('are read the same with and without parsing, whatever the text', () => {
    const words = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom('"content":"x"', '"finish_reason":null', '\\', '\n', '"error":', '{"a":1}'),
    );
    fc.assert(
      fc.property(fc.array(words), (texts) => {
        const frames = texts.map((content) => delta({ content }));
        expect(read('openai-chat', frames).answer.text).toBe(texts.join(''));
        // With spaces, as Python writes JSON, every frame is parsed.
        const spaced = frames.map((frame) => JSON.stringify(frame, null, 1));
        expect(read('openai-chat', spaced).answer.text).toBe(texts.join(''));
        const plain = texts.map((text) => ({ choices: [{ text, finish_reason: null }] }));
        expect(read('vllm', plain).answer.text).toBe(texts.join(''));
      }),
    );
  });
});
