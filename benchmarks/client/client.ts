/**
 * What the load-testing client costs: CPU per chunk and per request, against a server in a process of
 * its own that streams frames of the usual size without a model. `npx tsx benchmarks/client/client.ts`;
 * `--url` measures another server, `--concurrency`, `--requests` and `--tokens` the load.
 */

import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import { backendNamed } from '../../src/bench/backends/index.js';
import { BodyEncoder } from '../../src/bench/body.js';
import { HealthMonitor } from '../../src/bench/client-health.js';
import { baseOf, urlOf } from '../../src/bench/endpoint.js';
import { HttpClient } from '../../src/bench/http-client.js';
import { Measurement } from '../../src/bench/measurement.js';
import { runLoad } from '../../src/bench/run-load.js';
import { Sender } from '../../src/bench/sender.js';
import { estimator } from '../../src/bench/token-counter.js';

const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    concurrency: { type: 'string', default: '100' },
    requests: { type: 'string', default: '400' },
    tokens: { type: 'string', default: '64' },
    'gap-ms': { type: 'string', default: '10' },
  },
});
const [concurrency, numRequests, numTokens] = [
  Number(values.concurrency),
  Number(values.requests),
  Number(values.tokens),
];

/** A server of frames: `max_tokens` of them, a gap apart, usage, and the end mark. */
const SERVER = `
const frame = (c) => 'data: {"id":"cmpl-0123456789abcdef","object":"text_completion","created":1700000000,"model":"m","choices":[' + c + ']';
require('node:http').createServer((req, res) => {
  let body = '';
  req.on('data', (d) => { body += d; }).on('end', () => {
    const n = JSON.parse(body).max_tokens;
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    let i = 0;
    const timer = setInterval(() => {
      if (i++ < n) return res.write(frame('{"index":0,"text":" word","logprobs":null,"finish_reason":' + (i === n ? '"length"' : 'null') + '}') + '}\\n\\n');
      clearInterval(timer);
      res.end(frame('') + ',"usage":{"prompt_tokens":1,"completion_tokens":' + n + '}}\\n\\ndata: [DONE]\\n\\n');
    }, ${Number(values['gap-ms'])});
  });
}).listen(0, '127.0.0.1', function () { console.log('http://127.0.0.1:' + this.address().port); });
`;

const child = values.url
  ? undefined
  : spawn(process.execPath, ['-e', SERVER], { stdio: ['ignore', 'pipe', 'inherit'] });
const url =
  values.url ??
  (await new Promise<string>((resolve) => {
    child!.stdout!.once('data', (line: Buffer) => resolve(line.toString('utf8').trim()));
  }));

const backend = backendNamed('vllm');
const client = new HttpClient();
const sender = new Sender({
  client,
  backend,
  encoder: new BodyEncoder(backend, { model: 'm', sampling: {}, ignoreEos: true }),
  url: urlOf(baseOf({ baseUrl: url }), backend.path),
  headers: {},
  secrets: [],
  counter: estimator,
  timeoutMs: 60_000,
  maxRetries: 0,
  keepText: false,
});

async function run(count: number): Promise<Measurement> {
  const measurement = new Measurement();
  let next = 0;
  await runLoad({
    next: () =>
      next < count
        ? {
            atMs: 0,
            request: { id: String(next++), prompt: 'Hello', promptTokens: 1, maxTokens: numTokens },
          }
        : undefined,
    maxConcurrency: concurrency,
    send: (request, times) => sender.send(request, times),
    onRecord: (record) => measurement.add(record),
  });
  return measurement;
}

await run(concurrency);
const health = new HealthMonitor();
const cpu = process.cpuUsage();
const measured = (await run(numRequests)).result();
const { user, system } = process.cpuUsage(cpu);
const { loopDelayP99Ms, cpuFraction } = health.stop();
const us = user + system;
const numChunks = measured.itl.count + measured.completed;
console.log(
  `${measured.completed} of ${numRequests} requests, ${concurrency} at once, ${numChunks} chunks: ` +
    `${(us / numChunks).toFixed(1)} µs of CPU per chunk, ${(us / numRequests).toFixed(0)} µs per request; ` +
    `${(cpuFraction * 100).toFixed(0)} % of a core, event loop held up ${loopDelayP99Ms.toFixed(2)} ms (P99)`,
);
client.close();
child?.kill();
