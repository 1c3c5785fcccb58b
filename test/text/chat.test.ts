import { describe, expect, it } from 'vitest';
import {
  chatTemplateOf,
  type RenderedPrompt,
  renderChat,
  renderCompletion,
} from '../../src/text/index.js';

/** `·` stands for a special token. */
const written = (prompt: RenderedPrompt) =>
  prompt.map(({ text, special }) => (special ? '·' : '') + text).join('');
const hi = [{ role: 'user', content: 'hi' }];

describe('renderChat', () => {
  it.each([
    ['qwen/Qwen3-8B', '·user\nhi·\n·assistant\n'],
    ['meta-llama/Llama-3.1-8B-Instruct', '··user·\n\nhi··assistant·\n\n'],
    ['gpt-4o', '·user·hi··assistant·'],
    ['mistralai/Mistral-7B-Instruct', '·· hi·'],
    ['google/gemma-3-4b', '··user\nhi·\n·model\n'],
    ['deepseek-ai/DeepSeek-V3', '··hi·'],
    ['facebook/opt-6.7b', '·user: hi\nassistant:'],
  ])('writes a chat as %s does', (model, expected) => {
    expect(written(renderChat(hi, chatTemplateOf(model)))).toBe(expected);
  });

  it('writes what a message adds', () => {
    const chat = [
      { role: 'system', content: 'Be brief.' },
      ...hi,
      { role: 'assistant', content: '', toolCalls: '{"name":"f"}' },
    ];
    expect(written(renderChat(chat, chatTemplateOf('qwen'), '{"type":"function"}'))).toBe(
      '·system\nBe brief.\n\nFunctions you may call, one JSON schema each:\n{"type":"function"}\n·\n' +
        '·user\nhi·\n·assistant\n{"name":"f"}·\n·assistant\n',
    );
  });

  it('keeps an earlier answer apart, and takes no text for a special token', () => {
    const parts = renderChat([{ role: 'assistant', content: 'a\u0000·' }], chatTemplateOf('qwen'));
    expect(parts).toEqual([
      { text: 'assistant\n', special: true, answer: false },
      { text: 'a\u0000·', special: false, answer: true },
      { text: '\n', special: true, answer: false },
      { text: 'assistant\n', special: true, answer: false },
    ]);
  });

  it('puts a beginning-of-sequence token before a completion where the model has one', () => {
    expect(written(renderCompletion('hi', chatTemplateOf('facebook/opt-6.7b')))).toBe('·hi');
    expect(written(renderCompletion('hi', chatTemplateOf('qwen')))).toBe('hi');
  });
});
