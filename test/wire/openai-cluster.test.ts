import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createEngine } from '../../src/core/cluster/cluster.js';
import { clusterModel, createOpenAiApp, type RequestLog } from '../../src/openai/index.js';
import { ManualClock } from '../../src/pipeline/clock.js';
import { LiveCluster } from '../../src/pipeline/live-cluster.js';
import { builtInTokenizer, chatTemplateOf } from '../../src/text/index.js';
import { smallInstance } from '../support/instances.js';

let clock: ManualClock;
let cluster: LiveCluster;
let app: FastifyInstance;
let logs: RequestLog[];
beforeEach(async () => {
  clock = new ManualClock();
  logs = [];
  // Ten milliseconds a step, whatever is in it.
  cluster = new LiveCluster({
    clock,
    createEngine: (tracer) =>
      createEngine({
        instances: [smallInstance({ stepMs: 10 })],
        router: 'round_robin',
        seed: 0,
        inputLatencyNs: 0,
        tracer,
      }),
  });
  const model = clusterModel({
    cluster,
    id: 'tiny',
    maxModelLen: 120,
    created: 0,
    tokenizer: await builtInTokenizer('cl100k_base'),
    template: chatTemplateOf('qwen'),
  });
  const service = { models: [model], status: () => ({}) };
  app = createOpenAiApp({ service, onRequest: (log) => logs.push(log) });
  await app.listen({ port: 0, host: '127.0.0.1' });
});
afterEach(async () => {
  cluster.close();
  await app.close();
});

/** Turns of the event loop until `condition` holds. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate);
}
const ms = (n: number) => n * 1e6;
const freeBlocks = () => cluster.snapshot()[0]!.freeBlocks;

/** Asks for a streamed chat; what has been received so far, and the request to destroy. */
function ask(more: object = {}) {
  const seen = { text: '', status: 0, ended: false };
  const { port } = app.server.address() as AddressInfo;
  const headers = { 'content-type': 'application/json' };
  const path = '/v1/chat/completions';
  const request = http.request({ port, path, method: 'POST', headers }, (response) => {
    seen.status = response.statusCode!;
    response.setEncoding('utf8');
    response.on('data', (data) => {
      seen.text += data;
    });
    response.on('end', () => {
      seen.ended = true;
    });
    response.on('error', () => {});
  });
  request.on('error', () => {});
  const messages = [{ role: 'user', content: 'hi' }];
  const body = { model: 'tiny', messages, stream: true, max_tokens: 4, ignore_eos: true, ...more };
  request.end(JSON.stringify(body));
  return { seen, request };
}
const numTokens = (text: string) => text.match(/"content":"[^"]/g)?.length ?? 0;

describe('the OpenAI surface over the live cluster', () => {
  it('sends each token when its step is over, and reports simulated times', async () => {
    const { seen } = ask();
    await until(() => cluster.numUnfinished === 1);
    clock.advance(ms(9));
    await new Promise(setImmediate);
    expect(seen.text).toBe('');
    for (let token = 1; token <= 3; token++) {
      clock.advance(token === 1 ? ms(1) : ms(10));
      await until(() => numTokens(seen.text) === token);
    }
    clock.advance(ms(10));
    await until(() => logs.length === 1);
    expect(numTokens(seen.text)).toBe(4);
    expect(seen.text).toContain('"finish_reason":"length"');
    expect(logs[0]!.delivery).toMatchObject({ outputTokens: 4, ttftMs: 10, e2eMs: 40 });
    await until(() => seen.ended);
  });

  it('answers many at once in the same steps', async () => {
    const asked = Array.from({ length: 4 }, () => ask());
    await until(() => cluster.numUnfinished === 4);
    clock.advance(ms(1_000));
    await until(() => asked.every(({ seen }) => seen.ended));
    for (const { seen } of asked) expect(numTokens(seen.text)).toBe(4);
  });

  it('frees KV as soon as the client goes away', async () => {
    const free = freeBlocks();
    const { seen, request } = ask({ max_tokens: 100 });
    await until(() => cluster.numUnfinished === 1);
    clock.advance(ms(30));
    await until(() => numTokens(seen.text) === 3);
    expect(freeBlocks()).toBeLessThan(free);
    request.destroy();
    await until(() => logs.length === 1);
    clock.advance(1);
    expect(freeBlocks()).toBe(free);
    expect(cluster.numUnfinished).toBe(0);
    expect(logs[0]!.delivery).toMatchObject({ reason: 'abort' });
  });

  it('answers 503 when the cluster is closed before the first token', async () => {
    const { seen } = ask();
    await until(() => cluster.numUnfinished === 1);
    cluster.close();
    await until(() => seen.ended);
    expect(seen.status).toBe(503);
    expect(seen.text).toContain('"type":"server_error"');
  });

  it('tells of a close in a stream that has begun', async () => {
    const { seen } = ask();
    await until(() => cluster.numUnfinished === 1);
    clock.advance(ms(10));
    await until(() => numTokens(seen.text) === 1);
    cluster.close();
    await until(() => seen.ended);
    expect(seen.text).toMatch(/data: \{"error":.*\n\ndata: \[DONE\]\n\n$/);
  });

  it('leaves nothing behind after bad input', async () => {
    const free = freeBlocks();
    const asked = [{ max_tokens: 0 }, { temperature: 9 }, { max_tokens: 500 }, { model: 'x' }].map(
      ask,
    );
    await until(() => asked.every(({ seen }) => seen.ended));
    expect(asked.map(({ seen }) => seen.status)).toEqual([400, 400, 400, 404]);
    expect(cluster.counts.submitted).toBe(0);
    expect(freeBlocks()).toBe(free);
  });
});
