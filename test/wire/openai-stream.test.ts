import { once } from 'node:events';
import net from 'node:net';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createOpenAiApp, type RequestLog } from '../../src/openai/app.js';
import { type FakeService, fakeService } from '../openai/support.js';

let service: FakeService;
let app: FastifyInstance;
let port: number;
const logs: RequestLog[] = [];
beforeAll(async () => {
  service = await fakeService();
  app = createOpenAiApp({
    service,
    idPrefix: 'x',
    nowMs: () => 1_700_000_000_000,
    onRequest: (log) => logs.push(log),
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  port = (app.server.address() as net.AddressInfo).port;
});
afterAll(() => app.close());

const chat = (more: object = {}) => ({
  model: 'tiny',
  messages: [{ role: 'user', content: 'hi' }],
  stream: true,
  max_tokens: 3,
  ignore_eos: true,
  ...more,
});

/** A client on a bare socket: what was really sent, chunk by chunk. */
class Client {
  received = '';
  readonly #socket = net.connect(port, '127.0.0.1');

  constructor() {
    this.#socket.setEncoding('utf8');
    this.#socket.on('data', (data) => {
      this.received += data;
    });
  }

  request(body: object, head = 'POST /v1/chat/completions HTTP/1.1'): void {
    const json = JSON.stringify(body);
    const headers = `host: x\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(json)}`;
    this.#socket.write(`${head}\r\n${headers}\r\n\r\n${json}`);
  }

  async until(text: string): Promise<string> {
    while (!this.received.includes(text)) await once(this.#socket, 'data');
    const end = this.received.indexOf(text) + text.length;
    const seen = this.received.slice(0, end);
    this.received = this.received.slice(end);
    return seen;
  }

  pause = () => this.#socket.pause();
  resume = () => this.#socket.resume();
  destroy = () => this.#socket.destroy();
}

const LAST_CHUNK = '0\r\n\r\n';
/** The next submission after those made so far. */
const next = () => service.submission(service.submitted.length);
/** Bodies of the frames in what a socket received; checks the lengths of the chunks. */
function framesOf(received: string): unknown[] {
  let rest = received.slice(received.indexOf('\r\n\r\n') + 4);
  let text = '';
  for (;;) {
    const lineEnd = rest.indexOf('\r\n');
    const length = Number.parseInt(rest.slice(0, lineEnd), 16);
    if (length === 0) break;
    const bytes = Buffer.from(rest.slice(lineEnd + 2));
    text += bytes.subarray(0, length).toString();
    expect(bytes.subarray(length, length + 2).toString()).toBe('\r\n');
    rest = bytes.subarray(length + 2).toString();
  }
  return text
    .split('\n\n')
    .filter((frame) => frame !== '' && frame !== 'data: [DONE]')
    .map((frame) => JSON.parse(frame.slice(6)));
}
const contents = (frames: unknown[]) =>
  (frames as { choices: { delta?: { content?: string }; text?: string }[] }[]).map(
    ({ choices }) => choices[0]?.delta?.content ?? choices[0]?.text,
  );

describe('a streamed answer on the socket', () => {
  it('leaves token by token, each when it is due, and the connection stays', async () => {
    const client = new Client();
    for (let round = 0; round < 2; round++) {
      const submitted = next();
      client.request(chat());
      const request = await submitted;
      await new Promise(setImmediate);
      expect(client.received).toBe('');
      request.tokens();
      const head = await client.until('finish_reason":null}]}\n\n\r\n');
      expect(head).toMatch(/^HTTP\/1.1 200 OK\r\n/);
      expect(head).toMatch(/content-type: text\/event-stream; charset=utf-8\r\n/);
      expect(head).toMatch(/transfer-encoding: chunked\r\n/i);
      expect(head).toMatch(/x-request-id: req_x\w+\r\n/);
      request.tokens();
      await client.until('finish_reason":null}]}\n\n\r\n');
      request.tokens().end();
      const tail = await client.until(LAST_CHUNK);
      expect(tail).toContain('"finish_reason":"length"');
      expect(tail).toContain('data: [DONE]');
    }
    client.destroy();
  });

  it('has the frames of the answer, in chunks of the right length', async () => {
    const client = new Client();
    const submitted = next();
    client.request(chat({ stream_options: { include_usage: true }, seed: 1 }));
    const request = await submitted;
    request.rest();
    const frames = framesOf(await client.until(LAST_CHUNK));
    expect(contents(frames)[0]).toBe('');
    expect(contents(frames).slice(4)).toEqual([undefined, undefined]);
    expect(frames.at(-1)).toMatchObject({ usage: { prompt_tokens: 9, completion_tokens: 3 } });
    client.destroy();
  });

  it('counts bytes, not characters, where the text is not ASCII', async () => {
    const client = new Client();
    const submitted = next();
    const body = { model: 'tiny', prompt: 'größe 語', stream: true, echo: true, max_tokens: 1 };
    client.request(body, 'POST /v1/completions HTTP/1.1');
    (await submitted).rest();
    const frames = framesOf(await client.until(LAST_CHUNK));
    expect(contents(frames)[0]).toBe('größe 語');
    client.destroy();
  });

  it('sends everything that is due in one turn with one write', async () => {
    const client = new Client();
    const submitted = next();
    client.request(chat({ max_tokens: 20 }));
    const request = await submitted;
    for (let i = 0; i < 10; i++) request.tokens();
    await client.until('\r\n\r\n');
    const chunk = await client.until('\n\n\r\n');
    expect(chunk.match(/data: /g)).toHaveLength(1 + 10);
    client.destroy();
  });

  it('has one chunk for the tokens of one step, as many as they are', async () => {
    const client = new Client();
    const submitted = next();
    client.request(chat({ max_tokens: 20, stream_options: { include_usage: true } }));
    const request = await submitted;
    request.tokens().tokens(4).tokens().tokens(3);
    await client.until('\r\n\r\n');
    const chunk = await client.until('\n\n\r\n');
    expect(chunk.match(/data: /g)).toHaveLength(1 + 4);
    for (let i = 0; i < 10; i++) request.tokens();
    request.tokens(1).end();
    expect(await client.until(LAST_CHUNK)).toContain('"completion_tokens":20');
    client.destroy();
  });

  it('frees the request when the client goes away', async () => {
    for (const tokens of [0, 2]) {
      const client = new Client();
      const submitted = next();
      client.request(chat());
      const request = await submitted;
      if (tokens > 0) {
        request.tokens(tokens);
        await client.until('finish_reason');
      }
      client.destroy();
      while (!request.cancelled) await new Promise(setImmediate);
      request.end('abort');
    }
  });

  it('refuses with a status as long as nothing has been sent', async () => {
    const client = new Client();
    const submitted = next();
    client.request(chat());
    (await submitted).end('rejected');
    const answer = await client.until('}}');
    expect(answer).toMatch(/^HTTP\/1.1 400 /);
    expect(answer).toContain('does not fit into the KV cache');
    client.destroy();
  });

  it('ends a begun stream with an error frame when the server gives it up', async () => {
    const client = new Client();
    const submitted = next();
    client.request(chat());
    const request = (await submitted).tokens();
    await client.until('finish_reason');
    request.end('abort');
    const answer = await client.until(LAST_CHUNK);
    expect(answer).toContain('data: {"error":{"message":"The request was ended by the server."');
    expect(answer).toContain('data: [DONE]');
    client.destroy();
  });

  it('serves a second request on the connection that was sent ahead', async () => {
    const client = new Client();
    const [first, second] = [next(), service.submission(service.submitted.length + 1)];
    client.request(chat({ seed: 1 }));
    client.request(chat({ seed: 2, max_tokens: 4 }));
    (await second).rest();
    (await first).rest();
    const answers = [await client.until(LAST_CHUNK), await client.until(LAST_CHUNK)];
    expect(answers.map((answer) => framesOf(answer).length)).toEqual([5, 6]);
    client.destroy();
  });

  it('does not chunk by hand where the protocol has no chunks', async () => {
    const client = new Client();
    const submitted = next();
    client.request(chat(), 'POST /v1/chat/completions HTTP/1.0');
    (await submitted).rest();
    const answer = await client.until('[DONE]\n\n');
    expect(answer).not.toMatch(/chunked/i);
    expect(answer.split('\r\n\r\n')[1]).toMatch(/^data: /);
    client.destroy();
  });

  it('keeps nothing for a reader that does not read, and tells it all when it does', async () => {
    const client = new Client();
    const submitted = next();
    client.request(chat({ max_tokens: 900, n: 128, seed: 3 }));
    const first = await submitted;
    const all = await service
      .submission(service.submitted.indexOf(first) + 127)
      .then(() => service.submitted.slice(service.submitted.indexOf(first)));
    client.pause();
    let written = 0;
    while (all.some(({ sent }) => sent < 899)) {
      for (const request of all) request.tokens();
      written += all.length;
      await new Promise(setImmediate);
    }
    expect(written).toBeGreaterThan(100_000);
    for (const request of all) request.rest();
    client.resume();
    const frames = framesOf(await client.until(LAST_CHUNK)) as {
      choices: { index: number; delta: { content?: string }; finish_reason: string | null }[];
    }[];
    const texts = Array.from({ length: 128 }, () => '');
    for (const { choices } of frames) texts[choices[0]!.index] += choices[0]!.delta.content ?? '';
    const { tokenizer } = service.models[0]!;
    for (const text of texts) expect(tokenizer.count(text)).toBe(900);
    expect(frames.length).toBeLessThan(written);
    client.destroy();
  });

  it('tells of each request once, with its simulated times', async () => {
    logs.length = 0;
    const client = new Client();
    const submitted = next();
    client.request(chat());
    (await submitted).rest();
    await client.until(LAST_CHUNK);
    client.request(chat({ temperature: 9 }));
    await client.until('}}');
    while (logs.length < 2) await new Promise(setImmediate);
    expect(logs).toEqual([
      {
        id: expect.stringMatching(/^req_x/),
        method: 'POST',
        path: '/v1/chat/completions',
        status: 200,
        delivery: {
          promptTokens: 9,
          outputTokens: 3,
          cachedTokens: 3,
          ttftMs: 5,
          e2eMs: 25,
          reason: 'length',
        },
      },
      expect.objectContaining({ status: 400, refusal: expect.stringContaining('temperature') }),
    ]);
    client.destroy();
  });
});
