/**
 * Whether the client's memory grows with the number of requests: resident memory of `bench` after
 * 10,000, 50,000 and 100,000 requests of one token, each in a process of its own, against a server that
 * answers at once. `npx tsx benchmarks/client/memory.ts --server FILE`: a script that prints `ready` and
 * takes `--port` (the floor server of the peers); `npm run build` first. Node collects late when it may
 * take memory, so that what is alive shows with `--heap 40`: the old generation is bounded to so many MB.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    server: { type: 'string' },
    requests: { type: 'string', default: '10000,50000,100000' },
    concurrency: { type: 'string', default: '64' },
    workers: { type: 'string', default: '1' },
    heap: { type: 'string' },
  },
});
if (values.server === undefined) throw new Error('--server: expected the script of a server');

const port = await freePort();
const server = spawn(process.execPath, [values.server, '--port', String(port)], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
await new Promise((resolve) => server.stdout.once('data', resolve));

/** Peak resident memory in MB, as the kernel counts it. */
const peakMb = ({ pid }: ChildProcess): number => {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024;
};

for (const requests of values.requests.split(',')) {
  const args = [
    ...['bench', '--backend', 'openai-chat', '--base-url', `http://127.0.0.1:${port}`],
    ...['--model', 'm', '--num-prompts', requests, '--max-concurrency', values.concurrency],
    ...['--random-input-len', '4', '--random-output-len', '1', '--extra-body', '{"max_tokens":1}'],
    ...['--workers', values.workers, '--disable-tqdm', '--json'],
  ];
  const node = values.heap === undefined ? [] : [`--max-old-space-size=${values.heap}`];
  const child = spawn(process.execPath, [...node, 'src/cli/bin.js', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let peak = 0;
  const timer = setInterval(() => {
    try {
      peak = Math.max(peak, peakMb(child));
    } catch {
      // It has ended.
    }
  }, 100);
  let text = '';
  child.stdout.on('data', (bytes: Buffer) => {
    text += bytes.toString('utf8');
  });
  await new Promise((resolve) => child.once('close', resolve));
  clearInterval(timer);
  const { completed, duration } = JSON.parse(text);
  console.log(
    `${completed} requests in ${duration.toFixed(1)} s (${(completed / duration).toFixed(0)}/s): ${peak.toFixed(0)} MB at most`,
  );
}
server.kill();

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}
