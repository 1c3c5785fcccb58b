/**
 * What the load-testing client costs: CPU per chunk and per request, against a server in a process of
 * its own that streams frames of the usual size without a model. `npx tsx benchmarks/client/client.ts`;
 * `--url` measures another server, `--concurrency`, `--requests` and `--tokens` the load. With `--peer
 * FILE`, a load generator that takes the flags of the peers' `load.mjs`, rounds alternate between the two
 * and the ratio of their medians is told.
 */

import { execFileSync, spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import { backendNamed } from '../../src/bench/backends/index.js';
import { BodyEncoder } from '../../src/bench/body.js';
import { baseOf, urlOf } from '../../src/bench/endpoint.js';
import { HttpClient } from '../../src/bench/http-client.js';
import { Measurement } from '../../src/bench/measurement.js';
import { runLoad } from '../../src/bench/run-load.js';
import { Sender } from '../../src/bench/sender.js';
import { ThreadMonitor } from '../../src/bench/thread-monitor.js';
import { estimator } from '../../src/bench/token-counter.js';

const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    concurrency: { type: 'string', default: '100' },
    requests: { type: 'string', default: '400' },
    tokens: { type: 'string', default: '64' },
    'gap-ms': { type: 'string', default: '10' },
    rounds: { type: 'string', default: '3' },
    peer: { type: 'string' },
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
// As in a run: looking at itself is a part of what the client costs.
const monitor = new ThreadMonitor();
const client = new HttpClient({ monitor });
const sender = new Sender({
  client,
  monitor,
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

/** Microseconds of CPU for each request. */
async function ours(): Promise<number> {
  monitor.begin();
  const cpu = process.cpuUsage();
  const measured = (await run(numRequests)).result();
  const { user, system } = process.cpuUsage(cpu);
  const { loopDelayP99Ms, busyFraction } = monitor.stop();
  const each = (user + system) / numRequests;
  tell('ours', measured.completed, each, busyFraction, loopDelayP99Ms);
  return each;
}

function peers(script: string): number {
  const { hostname, port } = new URL(url);
  const flags = {
    url: `http://${hostname}:${port}`,
    api: 'completions',
    concurrency,
    requests: numRequests,
    'max-tokens': numTokens,
    warmup: concurrency,
  };
  const words = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const text = execFileSync(process.execPath, [script, ...words, '--json'], { encoding: 'utf8' });
  const said = JSON.parse(text);
  const each = (said.client_cpu * said.wall_s * 1e6) / said.requests;
  tell('peer', said.requests, each, said.client_cpu, said.client_loop_p99_ms);
  return each;
}

function tell(who: string, completed: number, us: number, busy: number, delayMs: number): void {
  console.log(
    `${who}: ${completed} of ${numRequests} requests, ${concurrency} at once, ${numTokens} chunks each: ` +
      `${(us / numTokens).toFixed(1)} µs of CPU per chunk, ${us.toFixed(0)} µs per request; ` +
      `busy for ${(busy * 100).toFixed(0)} % of the time, event loop held up ${delayMs.toFixed(2)} ms (P99)`,
  );
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1]!;

await run(concurrency);
const own: number[] = [];
const others: number[] = [];
for (let round = 0; round < Number(values.rounds); round++) {
  own.push(await ours());
  if (values.peer !== undefined) others.push(peers(values.peer));
}
if (others.length > 0) {
  console.log(`${(median(own) / median(others)).toFixed(2)} × the peer's CPU (medians)`);
}
client.close();
child?.kill();
