import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createOpenAiApp } from '../../src/openai/app.js';
import { type FakeService, fakeService } from '../openai/support.js';

const apps: FastifyInstance[] = [];
let service: FakeService;
let openai: OpenAI;
let vllm: OpenAI;
beforeAll(async () => {
  service = await fakeService({ auto: true, maxModelLen: 8_000 });
  const connect = async (profile: 'openai' | 'vllm') => {
    const app = createOpenAiApp({ service, profile });
    apps.push(app);
    await app.listen({ port: 0, host: '127.0.0.1' });
    const { port } = app.server.address() as AddressInfo;
    return new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: 'any', maxRetries: 0 });
  };
  [openai, vllm] = await Promise.all([connect('openai'), connect('vllm')]);
});
afterAll(() => Promise.all(apps.map((app) => app.close())));

const messages = [{ role: 'user' as const, content: 'Tell me something.' }];
const ask = { model: 'qwen/Qwen3-8B', messages, max_tokens: 40, seed: 11 };
const count = (text: string | null | undefined) => service.models[0]!.tokenizer.count(text ?? '');

describe.each([
  ['openai', () => openai],
  ['vllm', () => vllm],
])('the official SDK with the %s profile', (_, client) => {
  it('chats, with usage that counts the text', async () => {
    const answer = await client().chat.completions.create(ask);
    const [choice] = answer.choices;
    expect(count(choice!.message.content)).toBe(answer.usage!.completion_tokens);
    expect(answer.usage!.total_tokens).toBe(
      answer.usage!.prompt_tokens + answer.usage!.completion_tokens,
    );
    expect(['stop', 'length']).toContain(choice!.finish_reason);
    expect(answer._request_id).toMatch(/^req_/);
  });

  it('streams the same text, through its own accumulator', async () => {
    const whole = await client().chat.completions.create(ask);
    const stream = client().chat.completions.stream({
      ...ask,
      stream: true,
      stream_options: { include_usage: true },
    });
    let numDeltas = 0;
    stream.on('content', () => {
      numDeltas++;
    });
    const streamed = await stream.finalChatCompletion();
    expect(streamed.choices[0]!.message.content).toBe(whole.choices[0]!.message.content);
    expect(streamed.usage).toEqual(whole.usage);
    expect(numDeltas).toBeGreaterThanOrEqual(whole.usage!.completion_tokens);
  });

  it('gets n answers, streamed and not', async () => {
    const whole = await client().chat.completions.create({ ...ask, n: 3 });
    const stream = await client().chat.completions.create({ ...ask, n: 3, stream: true });
    const texts = ['', '', ''];
    const reasons: (string | null)[] = [];
    for await (const { choices } of stream) {
      for (const { index, delta, finish_reason } of choices) {
        texts[index] += delta.content ?? '';
        if (finish_reason) reasons[index] = finish_reason;
      }
    }
    expect(whole.choices.map(({ message }) => message.content)).toEqual(texts);
    expect(whole.choices.map(({ finish_reason }) => finish_reason)).toEqual(reasons);
    expect(new Set(texts).size).toBe(3);
  });

  it('stops before a stop string', async () => {
    const answer = await client().chat.completions.create({ ...ask, stop: ['.', ' and'] });
    expect(answer.choices[0]!.finish_reason).toBe('stop');
    expect(answer.choices[0]!.message.content).not.toMatch(/\.| and/);
  });

  it('gets log probabilities, one per token', async () => {
    const answer = await client().chat.completions.create({
      ...ask,
      max_tokens: 8,
      logprobs: true,
      top_logprobs: 3,
    });
    const { content } = answer.choices[0]!.logprobs!;
    expect(content!.map(({ token }) => token).join('')).toBe(answer.choices[0]!.message.content);
    for (const { logprob, top_logprobs } of content!) {
      expect(logprob).toBeLessThanOrEqual(0);
      expect(top_logprobs[0]!.logprob).toBe(logprob);
      const sorted = top_logprobs.map((top) => top.logprob);
      expect(sorted).toEqual([...sorted].sort((a, b) => b - a));
      expect(sorted.reduce((sum, value) => sum + Math.exp(value), 0)).toBeLessThan(1.000_01);
    }
  });

  it('completes prompts, as text and as tokens, with echo', async () => {
    const { tokenizer } = service.models[0]!;
    const answer = await client().completions.create({
      model: 'tiny',
      prompt: ['One two', 'Three four'],
      echo: true,
      logprobs: 2,
      n: 2,
    });
    expect(answer.choices.map(({ text }) => text.split(' ')[0])).toEqual([
      'One',
      'One',
      'Three',
      'Three',
    ]);
    expect(answer.usage).toMatchObject({ prompt_tokens: 4 });
    expect(answer.usage!.completion_tokens).toBeLessThanOrEqual(64);
    const { text, logprobs } = answer.choices[0]!;
    for (const [i, token] of logprobs!.tokens!.entries()) {
      expect(text.startsWith(token, logprobs!.text_offset![i]!)).toBe(true);
    }
    const ids = tokenizer.encode('Three four');
    const stream = await client().completions.create({
      model: 'tiny',
      prompt: ids,
      echo: true,
      stream: true,
    });
    let streamed = '';
    for await (const { choices } of stream) streamed += choices[0]?.text ?? '';
    expect(streamed.startsWith('Three four')).toBe(true);
  });

  it('lists and finds models, slashes included', async () => {
    const ids: string[] = [];
    for await (const model of client().models.list()) ids.push(model.id);
    expect(ids).toEqual(['qwen/Qwen3-8B', 'tiny']);
    const model = await client().models.retrieve('qwen/Qwen3-8B');
    expect(model).toMatchObject({
      id: 'qwen/Qwen3-8B',
      object: 'model',
      owned_by: 'llmservingsim',
    });
  });

  it('sees refusals as the errors it knows', async () => {
    const create = (more: object) => client().chat.completions.create({ ...ask, ...more });
    await expect(create({ temperature: 9 })).rejects.toThrow(OpenAI.BadRequestError);
    await expect(create({ model: 'none' })).rejects.toThrow(OpenAI.NotFoundError);
    await expect(create({ max_tokens: 9_000 })).rejects.toThrow('maximum context length');
  });

  it('aborts in mid-stream', async () => {
    const before = service.submitted.length;
    const stream = (await client().chat.completions.create({
      ...ask,
      max_tokens: 4_000,
      ignore_eos: true,
      stream: true,
    } as never)) as unknown as AsyncIterable<unknown> & { controller: AbortController };
    for await (const _ of stream) break;
    expect(stream.controller.signal.aborted).toBe(true);
    expect(service.submitted.length).toBe(before + 1);
  });

  it('has 10 × 100 requests answered, all of them', async () => {
    const results = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const reasons: unknown[] = [];
        for (let i = 0; i < 100; i++) {
          const answer = await client().chat.completions.create({ ...ask, seed: i, max_tokens: 5 });
          reasons.push(answer.choices[0]!.finish_reason);
        }
        return reasons;
      }),
    );
    expect(
      results.flat().filter((reason) => reason === 'length' || reason === 'stop'),
    ).toHaveLength(1_000);
  });
});
