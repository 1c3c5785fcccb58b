import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/bench/backends/backend.js';
import { BACKENDS, backendNamed } from '../../src/bench/backends/index.js';
import { BodyEncoder } from '../../src/bench/body.js';
import { toneWav, wavSeconds } from '../../src/bench/datasets/media.js';
import { baseOf, urlOf } from '../../src/bench/endpoint.js';
import { HttpClient } from '../../src/bench/http-client.js';
import type { BenchRequest } from '../../src/bench/request.js';
import { Sender, type SenderOptions } from '../../src/bench/sender.js';
import { estimator } from '../../src/bench/token-counter.js';
import * as doubles from '../support/protocol-doubles.js';

const HANDLERS: Readonly<Record<string, doubles.Handler>> = {
  'openai-chat': doubles.chat,
  'openai-audio': doubles.transcription,
  tgi: doubles.tgi,
  'tensorrt-llm': doubles.triton,
  'deepspeed-mii': doubles.mii,
};

const client = new HttpClient();
afterAll(() => client.close());

const REQUEST: BenchRequest = {
  id: '7',
  prompt: 'Say hello',
  promptTokens: 3,
  maxTokens: 4,
  audio: { bytes: toneWav(0.5), name: 'tone.wav', seconds: 0.5 },
};

function senderOf(backend: Backend, url: string, change: Partial<SenderOptions> = {}): Sender {
  const encoder = new BodyEncoder(backend, { model: 'm', sampling: {}, ignoreEos: true });
  return new Sender({
    client,
    backend,
    encoder,
    url: urlOf(baseOf({ baseUrl: url }), backend.path),
    headers: {},
    secrets: ['sk-secret'],
    counter: estimator,
    timeoutMs: 5_000,
    maxRetries: 0,
    keepText: true,
    ...change,
  });
}

const send = (sender: Sender, request = REQUEST) => {
  const now = performance.now();
  return sender.send(request, { originMs: now, scheduledMs: now, dispatchedMs: now });
};

describe.each(BACKENDS.map((backend) => [backend.name, backend] as const))(
  '%s',
  (name, backend) => {
    let server: doubles.DoubleServer;
    let paths: string[] = [];
    beforeAll(async () => {
      server = await doubles.startDouble((req, res, body) => {
        paths.push(req.url!);
        return (HANDLERS[name] ?? doubles.completions)(req, res, body);
      });
    });
    afterAll(() => server.close());

    it('gets the whole text, its tokens and their times', async () => {
      paths = [];
      const record = await send(senderOf(backend, server.url));
      expect(record.failure).toBeUndefined();
      expect(record.text).toBe(doubles.TOKENS.join(''));
      expect(paths).toEqual([backend.path]);
      const usage = !['tensorrt-llm', 'deepspeed-mii'].includes(name);
      expect(record.tokenSource).toBe(usage ? 'usage' : 'estimate');
      expect(record.outputTokens).toBe(4);
      expect(record.numTextChunks).toBe(backend.streams ? 4 : 1);
      expect(record.sentMs).toBeLessThanOrEqual(record.firstTokenMs!);
      expect(record.firstChunkMs!).toBeLessThanOrEqual(record.firstTokenMs!);
      expect(record.lastChunkMs!).toBeLessThanOrEqual(record.endedMs);
    });

    it('says how long the answer may be, in its own words', async () => {
      await send(senderOf(backend, server.url));
      const body = server.bodies.at(-1)!;
      const text = typeof body === 'string' ? body : JSON.stringify(body);
      expect(text).toMatch(
        /"(max_tokens|max_completion_tokens|max_new_tokens)":4|name="max_completion_tokens"\r\n\r\n4/,
      );
      if (backend.prompts !== 'audio') expect(text).toContain('Say hello');
    });

    it('tells a refusal apart', async () => {
      const refusing = await doubles.startDouble((_, res) => {
        res.writeHead(404, { 'content-type': 'application/json' });
        res.end('{"error":{"message":"The model `m` does not exist. Key: sk-secret"}}');
      });
      const { failure } = await send(senderOf(backend, refusing.url));
      expect(failure).toEqual({
        kind: 'http_404',
        message: '404 The model `m` does not exist. Key: ***',
      });
      await refusing.close();
    });
  },
);

describe('Sender', () => {
  const vllm = backendNamed('vllm');
  const failing = async (handle: doubles.Handler, change: Partial<SenderOptions> = {}) => {
    const server = await doubles.startDouble(handle);
    const record = await send(senderOf(vllm, server.url, change));
    await server.close();
    return record;
  };
  const chunk = (text: string) =>
    `data: {"choices":[{"index":0,"text":"${text}","finish_reason":null}]}\n\n`;

  it('knows a server that is not there', async () => {
    const server = await doubles.startDouble(() => {});
    await server.close();
    const { failure } = await send(senderOf(vllm, server.url));
    expect(failure?.kind).toBe('refused');
  });

  it('knows a stream that breaks off, one that just ends, and one that never began', async () => {
    const broken = await failing((_, res) => {
      res.write(chunk('a'));
      setTimeout(() => res.destroy(), 5);
    });
    expect(broken.failure?.kind).toBe('cut');
    const ended = await failing((_, res) => void res.end(chunk('a')));
    expect(ended.failure?.kind).toBe('cut');
    const nothing = await failing((_, res) => void res.end('data: [DONE]\n\n'));
    expect(nothing.failure?.kind).toBe('empty');
  });

  it('knows frames that are no JSON, and errors in the stream', async () => {
    const malformed = await failing((_, res) => void res.end('data: {oops\n\n'));
    expect(malformed.failure?.kind).toBe('malformed');
    const error = await failing(
      (_, res) => void res.end(`${chunk('a')}data: {"error":{"message":"out of memory"}}\n\n`),
    );
    expect(error.failure).toEqual({ kind: 'error_frame', message: 'out of memory' });
  });

  it('gives up after its time', async () => {
    const { failure } = await failing((_, res) => void res.write(chunk('a')), { timeoutMs: 40 });
    expect(failure?.kind).toBe('timeout');
  });

  it('waits as the server says and tries again, when asked to', async () => {
    let numRequests = 0;
    const flaky: doubles.Handler = (req, res, body) => {
      if (numRequests++ > 0) return doubles.completions(req, res, body);
      res.writeHead(429, { 'retry-after': '0' });
      res.end('{"error":{"message":"slow down"}}');
    };
    const record = await failing(flaky, { maxRetries: 1 });
    expect([record.failure, record.numRetries]).toEqual([undefined, 1]);
    numRequests = 0;
    expect((await failing(flaky)).failure?.kind).toBe('http_429');
  });

  it('leaves out or renames what a server does not know, once', async () => {
    const server = await doubles.startDouble((req, res, body) => {
      const fields = body as Record<string, unknown>;
      const refuse = (message: string) => {
        res.writeHead(400, { 'content-type': 'application/json' });
        res.end(JSON.stringify({ error: { message } }));
      };
      if ('ignore_eos' in fields) return refuse("Unrecognized request argument: 'ignore_eos'");
      if ('max_tokens' in fields) {
        return refuse("'max_tokens' is not supported. Use 'max_completion_tokens' instead.");
      }
      return doubles.completions(req, res, body);
    });
    const sender = senderOf(vllm, server.url);
    expect((await send(sender)).failure).toBeUndefined();
    expect((await send(sender)).failure).toBeUndefined();
    expect(server.bodies).toHaveLength(4);
    expect(sender.options.encoder.changes.sort()).toEqual([
      'ignore_eos left out',
      'max_tokens sent as max_completion_tokens',
    ]);
    await server.close();
  });

  it('keeps connections', async () => {
    const server = await doubles.startDouble(doubles.completions);
    const sender = senderOf(vllm, server.url);
    const [first, second] = [await send(sender), await send(sender)];
    expect([first.reusedConnection, second.reusedConnection]).toEqual([false, true]);
    await server.close();
  });
});

describe('urlOf', () => {
  it.each([
    ['http://h', 'http://h/v1/completions'],
    ['http://h/', 'http://h/v1/completions'],
    ['http://h/v1', 'http://h/v1/completions'],
    ['http://h/v1/', 'http://h/v1/completions'],
    ['http://h/v1/completions', 'http://h/v1/completions'],
    ['http://h/api/v1', 'http://h/api/v1/completions'],
    ['h:80', 'http://h/v1/completions'],
  ])('%s', (base, url) => {
    expect(urlOf(baseOf({ baseUrl: base }), '/v1/completions').href).toBe(url);
  });
});

describe('wavSeconds', () => {
  it('reads the length off the header', () => {
    expect(wavSeconds(toneWav(1.25), 'tone.wav')).toBe(1.25);
    expect(() => wavSeconds(Buffer.from('nothing'), 'x.wav')).toThrow('x.wav: expected a WAV file');
  });
});
