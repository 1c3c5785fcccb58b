import fc from 'fast-check';
import type { FastifyInstance } from 'fastify';
import { beforeAll, describe, expect, it } from 'vitest';
import { createOpenAiApp } from '../../src/openai/app.js';
import { type FakeService, fakeService } from './support.js';

let service: FakeService;
let app: FastifyInstance;
beforeAll(async () => {
  service = await fakeService({ auto: true });
  app = createOpenAiApp({ service, bodyLimit: 100_000 });
});

const post = async (payload: unknown, url = '/v1/chat/completions') => {
  const before = service.submitted.length;
  const response = await app.inject({
    method: 'POST',
    url,
    headers: { 'content-type': 'application/json' },
    payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
  });
  return { response, numSubmitted: service.submitted.length - before };
};
const messages = [{ role: 'user', content: 'hi' }];
const chat = (more: object) => ({ model: 'tiny', messages, max_tokens: 2, ...more });
const tool = { type: 'function', function: { name: 'f', parameters: { type: 'object' } } };
const call = { id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } };

const BAD_CHATS: [what: string, body: object, param: string, code: string][] = [
  ['no model', { messages }, 'model', 'missing_required_parameter'],
  ['no messages', { model: 'tiny' }, 'messages', 'missing_required_parameter'],
  ['empty messages', chat({ messages: [] }), 'messages', 'empty_array'],
  ['messages as text', chat({ messages: 'hi' }), 'messages', 'invalid_type'],
  ['a message as text', chat({ messages: ['hi'] }), 'messages[0]', 'invalid_type'],
  [
    'no role',
    chat({ messages: [{ content: '' }] }),
    'messages[0].role',
    'missing_required_parameter',
  ],
  [
    'odd role',
    chat({ messages: [{ role: 'king', content: '' }] }),
    'messages[0].role',
    'invalid_value',
  ],
  [
    'no content',
    chat({ messages: [{ role: 'user' }] }),
    'messages[0].content',
    'missing_required_parameter',
  ],
  [
    'content as number',
    chat({ messages: [{ role: 'user', content: 1 }] }),
    'messages[0].content',
    'invalid_type',
  ],
  [
    'unknown part',
    chat({ messages: [{ role: 'user', content: [{ type: 'smell' }] }] }),
    'messages[0].content[0].type',
    'invalid_value',
  ],
  [
    'an answer to no call',
    chat({ messages: [...messages, { role: 'tool', tool_call_id: 'x', content: '' }] }),
    'messages[1].tool_call_id',
    'invalid_value',
  ],
  ['max_tokens 0', chat({ max_tokens: 0 }), 'max_tokens', 'integer_below_min_value'],
  ['max_tokens 1.5', chat({ max_tokens: 1.5 }), 'max_tokens', 'invalid_type'],
  [
    'max_completion_tokens 0',
    chat({ max_completion_tokens: 0 }),
    'max_completion_tokens',
    'integer_below_min_value',
  ],
  ['min above max', chat({ min_tokens: 3 }), 'min_tokens', 'invalid_value'],
  ['temperature 9', chat({ temperature: 9 }), 'temperature', 'decimal_above_max_value'],
  ['temperature as text', chat({ temperature: '1' }), 'temperature', 'invalid_type'],
  ['top_p -1', chat({ top_p: -1 }), 'top_p', 'decimal_below_min_value'],
  ['penalty 3', chat({ presence_penalty: 3 }), 'presence_penalty', 'decimal_above_max_value'],
  ['n 0', chat({ n: 0 }), 'n', 'integer_below_min_value'],
  ['n 129', chat({ n: 129 }), 'n', 'integer_above_max_value'],
  ['five stops', chat({ stop: ['a', 'b', 'c', 'd', 'e'] }), 'stop', 'array_above_max_length'],
  ['stop as number', chat({ stop: 1 }), 'stop', 'invalid_type'],
  ['stream as text', chat({ stream: 'yes' }), 'stream', 'invalid_type'],
  ['stream_options alone', chat({ stream_options: {} }), 'stream_options', 'invalid_value'],
  [
    'usage as text',
    chat({ stream: true, stream_options: { include_usage: 'yes' } }),
    'stream_options.include_usage',
    'invalid_type',
  ],
  ['seed 0.5', chat({ seed: 0.5 }), 'seed', 'invalid_type'],
  ['top_logprobs alone', chat({ top_logprobs: 2 }), 'top_logprobs', 'invalid_value'],
  ['logprobs as number', chat({ logprobs: 3 }), 'logprobs', 'invalid_type'],
  ['bias 200', chat({ logit_bias: { '5': 200 } }), 'logit_bias.5', 'invalid_value'],
  ['tool_choice alone', chat({ tool_choice: 'required' }), 'tool_choice', 'invalid_value'],
  [
    'a tool that is not there',
    chat({ tools: [tool], tool_choice: { type: 'function', function: { name: 'g' } } }),
    'tool_choice.function.name',
    'invalid_value',
  ],
  [
    'a tool with an odd name',
    chat({ tools: [{ type: 'function', function: { name: 'a b' } }] }),
    'tools[0].function.name',
    'invalid_value',
  ],
  [
    'odd response_format',
    chat({ response_format: { type: 'xml' } }),
    'response_format.type',
    'invalid_value',
  ],
  [
    'schema without name',
    chat({ response_format: { type: 'json_schema', json_schema: {} } }),
    'response_format.json_schema.name',
    'missing_required_parameter',
  ],
  ['metadata as list', chat({ metadata: [] }), 'metadata', 'invalid_type'],
];

const BAD_COMPLETIONS: [what: string, body: object, param: string, code: string][] = [
  ['no prompt', { model: 'tiny' }, 'prompt', 'missing_required_parameter'],
  ['prompt as number', { model: 'tiny', prompt: 5 }, 'prompt', 'invalid_type'],
  ['empty list', { model: 'tiny', prompt: [] }, 'prompt', 'empty_array'],
  ['mixed list', { model: 'tiny', prompt: ['a', 5] }, 'prompt[1]', 'invalid_type'],
  ['negative token', { model: 'tiny', prompt: [3, -1] }, 'prompt[1]', 'invalid_value'],
  [
    'logprobs 6',
    { model: 'tiny', prompt: 'a', logprobs: 6 },
    'logprobs',
    'integer_above_max_value',
  ],
  ['best_of below n', { model: 'tiny', prompt: 'a', n: 3, best_of: 2 }, 'best_of', 'invalid_value'],
  [
    'best_of streamed',
    { model: 'tiny', prompt: 'a', best_of: 2, stream: true },
    'best_of',
    'invalid_value',
  ],
];

describe('bad input', () => {
  it.each(BAD_CHATS)(
    'chat, %s: 400 with the parameter and a code',
    async (_, body, param, code) => {
      const { response, numSubmitted } = await post(body);
      expect(response.json().error).toMatchObject({ type: 'invalid_request_error', param, code });
      expect(response.statusCode).toBe(400);
      expect(numSubmitted).toBe(0);
    },
  );

  it.each(BAD_COMPLETIONS)('completions, %s: 400', async (_, body, param, code) => {
    const { response, numSubmitted } = await post(body, '/v1/completions');
    expect(response.json().error).toMatchObject({ type: 'invalid_request_error', param, code });
    expect(response.statusCode).toBe(400);
    expect(numSubmitted).toBe(0);
  });

  it.each([
    [
      'a prompt over the window',
      'a '.repeat(1_100),
      2,
      /maximum context length is 1000 tokens.*prompt has 1\d+/,
    ],
    [
      'an answer over the window',
      'a',
      999,
      /maximum context length is 1000 tokens.*asked for 1008/,
    ],
  ])('%s: 400 context_length_exceeded', async (_, content, max_tokens, message) => {
    const { response } = await post(chat({ max_tokens, messages: [{ role: 'user', content }] }));
    expect(response.statusCode).toBe(400);
    expect(response.json().error).toMatchObject({
      code: 'context_length_exceeded',
      param: 'messages',
      message: expect.stringMatching(message),
    });
  });

  it.each([
    ['not JSON', '{', 400, /JSON/],
    ['a list', '[]', 400, /must be a JSON object, not a list/],
    ['null', 'null', 400, /must be a JSON object/],
    ['nothing', '', 400, /empty/],
    ['too much', `{"model":"${'x'.repeat(100_000)}"}`, 413, /larger/],
  ])('a body that is %s', async (_, body, status, message) => {
    const { response } = await post(body);
    expect(response.statusCode).toBe(status);
    expect(response.json().error).toMatchObject({
      type: 'invalid_request_error',
      message: expect.stringMatching(message),
      param: null,
      code: null,
    });
  });

  it.each([
    ['GET', '/v1/nothing', 404, null],
    ['POST', '/v1/nothing', 404, null],
    ['GET', '/v1/chat/completions', 405, 'method_not_supported'],
    ['DELETE', '/v1/completions', 405, 'method_not_supported'],
    ['POST', '/v1/models', 405, 'method_not_supported'],
    ['PUT', '/v1/models/qwen/Qwen3-8B', 405, 'method_not_supported'],
    ['GET', '/v1/models/none', 404, 'model_not_found'],
  ] as const)('%s %s: %i', async (method, url, status, code) => {
    const response = await app.inject({ method, url });
    expect(response.statusCode).toBe(status);
    expect(response.json().error).toMatchObject({ type: 'invalid_request_error', code });
    expect(response.headers['x-request-id']).toBeTruthy();
    if (status === 405) expect(response.headers.allow).toBeTruthy();
  });

  it('names a model that is not served', async () => {
    const { response } = await post(chat({ model: 'gpt-9' }));
    expect(response.statusCode).toBe(404);
    expect(response.json().error).toEqual({
      message: 'The model `gpt-9` does not exist.',
      type: 'invalid_request_error',
      param: 'model',
      code: 'model_not_found',
    });
  });

  it('asks for JSON when the content type is another', async () => {
    const response = await app.inject({
      method: 'POST',
      url: '/v1/chat/completions',
      headers: { 'content-type': 'text/plain' },
      payload: JSON.stringify(chat({})),
    });
    expect(response.statusCode).toBe(415);
    expect(response.json().error.message).toContain('application/json');
  });

  it('speaks vLLM’s form in its profile', async () => {
    const vllm = createOpenAiApp({ service, profile: 'vllm' });
    const response = await vllm.inject({
      method: 'POST',
      url: '/v1/chat/completions',
      payload: chat({ temperature: 9 }),
    });
    expect(response.json()).toEqual({
      error: {
        message: "Invalid 'temperature': 9 is above the maximum of 2.",
        type: 'BadRequestError',
        param: 'temperature',
        code: 400,
      },
    });
  });

  it('never fails with a 5xx, whatever the body', async () => {
    const names = [...Object.keys(chat({})), 'prompt', 'stream', 'stop', 'n', 'tools', 'seed'];
    const fields = fc.dictionary(fc.constantFrom(...names), fc.jsonValue({ maxDepth: 3 }));
    await fc.assert(
      fc.asyncProperty(fields, fc.boolean(), async (body, isChat) => {
        const { response } = await post(
          { ...chat({}), prompt: 'x', ...body },
          isChat ? '/v1/chat/completions' : '/v1/completions',
        );
        expect(response.statusCode).toBeLessThan(500);
      }),
      { numRuns: 300 },
    );
  });

  it('accepts what clients send and a simulation does not need', async () => {
    const { response } = await post(
      chat({
        messages: [
          { role: 'developer', content: 'Be brief.', name: 'dev' },
          {
            role: 'user',
            content: [
              { type: 'text', text: 'hi' },
              { type: 'image_url', image_url: { url: 'data:,' } },
            ],
          },
          { role: 'assistant', content: null, tool_calls: [call] },
          { role: 'tool', tool_call_id: 'call_1', content: 'done' },
        ],
        max_completion_tokens: 2,
        temperature: 0.7,
        top_p: 1,
        top_k: -1,
        repetition_penalty: 1,
        stop: null,
        logprobs: null,
        user: 'me',
        tools: [tool],
        tool_choice: 'auto',
        response_format: { type: 'text' },
        store: true,
        never_heard_of: { it: 1 },
      }),
    );
    expect(response.statusCode).toBe(200);
    expect(response.json().usage.completion_tokens).toBeLessThanOrEqual(2);
    expect(response.json().usage.prompt_tokens).toBeGreaterThan(576);
  });
});

describe('API key', () => {
  it.each([
    [undefined, 401, null],
    ['Bearer wrong', 401, 'invalid_api_key'],
    ['Bearer secret', 200, undefined],
  ])('with %s: %i', async (authorization, status, code) => {
    const guarded = createOpenAiApp({ service, apiKey: 'secret' });
    const headers = authorization === undefined ? {} : { authorization };
    const response = await guarded.inject({ method: 'GET', url: '/v1/models', headers });
    expect(response.statusCode).toBe(status);
    expect(response.json().error?.code).toBe(code);
    expect((await guarded.inject('/health')).statusCode).toBe(200);
  });
});
