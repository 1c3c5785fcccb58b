import { describe, expect, it } from 'vitest';
import { answerBody } from '../../src/openai/answers.js';
import { type FrameOptions, Frames } from '../../src/openai/frames.js';

const usage = { promptTokens: 7, completionTokens: 2, cachedTokens: 4 };
const options: FrameOptions = {
  endpoint: 'chat',
  profile: 'openai',
  id: 'chatcmpl-1',
  created: 1_700_000_000,
  model: 'a/"b"',
  includeUsage: false,
  continuousUsage: false,
};
const head =
  '"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"a/\\"b\\""';
const fp = '"service_tier":"default","system_fingerprint":"fp_llmservingsim"';
const stop = { reason: 'stop', stop: undefined } as const;

/** A whole stream of two tokens. */
function stream(more: Partial<FrameOptions>): string[] {
  const frames = new Frames({ ...options, ...more });
  const text =
    frames.open(0, usage) +
    frames.token(0, 'Hi', usage) +
    frames.last(0, ' "you"\n', stop, usage) +
    frames.end(usage);
  expect(text.endsWith('\n\n')).toBe(true);
  return text.slice(0, -2).split('\n\n');
}

describe('Frames', () => {
  it('openai chat: role, tokens, the end by itself', () => {
    expect(stream({})).toEqual([
      `data: {${head},${fp},"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}]}`,
      `data: {${head},${fp},"choices":[{"index":0,"delta":{"content":"Hi"},"logprobs":null,"finish_reason":null}]}`,
      `data: {${head},${fp},"choices":[{"index":0,"delta":{"content":" \\"you\\"\\n"},"logprobs":null,"finish_reason":null}]}`,
      `data: {${head},${fp},"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}`,
      'data: [DONE]',
    ]);
  });

  it('openai chat with usage: null on every chunk, then a chunk without choices', () => {
    const chunks = stream({ includeUsage: true });
    const bodies = chunks.slice(0, -1).map((chunk) => JSON.parse(chunk.slice(6)));
    expect(bodies.slice(0, 4).map((body) => body.usage)).toEqual([null, null, null, null]);
    expect(bodies[4]).toMatchObject({
      choices: [],
      usage: {
        prompt_tokens: 7,
        completion_tokens: 2,
        total_tokens: 9,
        prompt_tokens_details: { cached_tokens: 4 },
      },
    });
  });

  it('vllm chat: the end stands with the last token', () => {
    expect(stream({ profile: 'vllm' })).toEqual([
      `data: {${head},"choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}`,
      `data: {${head},"choices":[{"index":0,"delta":{"content":"Hi"},"logprobs":null,"finish_reason":null}]}`,
      `data: {${head},"choices":[{"index":0,"delta":{"content":" \\"you\\"\\n"},"logprobs":null,"finish_reason":"stop","stop_reason":null}]}`,
      'data: [DONE]',
    ]);
  });

  it('vllm with continuous usage: counts on every chunk', () => {
    const chunks = stream({ profile: 'vllm', includeUsage: true, continuousUsage: true });
    for (const chunk of chunks.slice(0, -1)) {
      expect(JSON.parse(chunk.slice(6)).usage).toMatchObject({ total_tokens: 9 });
    }
    expect(chunks).toHaveLength(5);
  });

  it('completions: text instead of a delta, and no role', () => {
    const chunks = stream({ endpoint: 'completion', id: 'cmpl-1' });
    expect(chunks).toHaveLength(4);
    expect(JSON.parse(chunks[0]!.slice(6))).toEqual({
      id: 'cmpl-1',
      object: 'text_completion',
      created: 1_700_000_000,
      model: 'a/"b"',
      system_fingerprint: 'fp_llmservingsim',
      choices: [{ index: 0, text: 'Hi', logprobs: null, finish_reason: null }],
    });
    expect(JSON.parse(chunks[2]!.slice(6)).choices).toEqual([
      { index: 0, text: '', logprobs: null, finish_reason: 'stop' },
    ]);
  });
});

describe('answerBody', () => {
  const choice = { text: 'Hi', finish: { reason: 'stop', stop: '.' }, logprobs: null } as const;

  it('openai chat: every key that SDKs read', () => {
    expect(JSON.parse(answerBody(options, [choice], usage))).toEqual({
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 1_700_000_000,
      model: 'a/"b"',
      service_tier: 'default',
      system_fingerprint: 'fp_llmservingsim',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Hi', refusal: null, annotations: [] },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: {
        prompt_tokens: 7,
        completion_tokens: 2,
        total_tokens: 9,
        prompt_tokens_details: { cached_tokens: 4, audio_tokens: 0 },
        completion_tokens_details: {
          reasoning_tokens: 0,
          audio_tokens: 0,
          accepted_prediction_tokens: 0,
          rejected_prediction_tokens: 0,
        },
      },
    });
  });

  it('vllm completion: the stop string, too', () => {
    const body = answerBody(
      { ...options, endpoint: 'completion', profile: 'vllm' },
      [choice],
      usage,
    );
    expect(JSON.parse(body).choices).toEqual([
      { index: 0, text: 'Hi', logprobs: null, finish_reason: 'stop', stop_reason: '.' },
    ]);
  });
});
