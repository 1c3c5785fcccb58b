/** Servers under measurement: started as a user starts them, on ports of their own, output dropped. */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** Where the floor server and the load generator are. */
const PEERS = resolve(process.env.LLMSERVINGSIM_SHARED ?? '../shared', 'peers');
const OURS = 'src/cli/bin.js';

export const peersAreThere = (): boolean => existsSync(join(PEERS, 'floor-server.mjs'));

export interface Server {
  readonly url: string;
  readonly pid: number;
  /** Start of the process to its first reply. */
  readonly readyMs: number;
  stop(): Promise<void>;
}

let nextPort = 18_400;

export const startFloor = (flags: readonly string[]): Promise<Server> =>
  start((port) => [join(PEERS, 'floor-server.mjs'), '--port', port, ...flags]);

/** Serves the model `m`. */
export const startOurs = (flags: readonly string[]): Promise<Server> =>
  start((port) => {
    const fixed = ['--port', port, '--grpc-port', '0', '--served-model-name', 'm'];
    return [OURS, 'server', ...fixed, ...flags];
  });

async function start(argsOf: (port: string) => readonly string[]): Promise<Server> {
  const port = nextPort++;
  const url = `http://127.0.0.1:${port}`;
  const startedAt = performance.now();
  const child = spawn(process.execPath, argsOf(String(port)), { stdio: 'ignore' });
  const body = JSON.stringify({
    model: 'm',
    max_tokens: 1,
    messages: [{ role: 'user', content: 'hi' }],
  });
  const headers = { 'content-type': 'application/json' };
  for (;;) {
    if (child.exitCode !== null) throw new Error(`a server ended with ${child.exitCode}`);
    try {
      const reply = await fetch(`${url}/v1/chat/completions`, { method: 'POST', body, headers });
      await reply.text();
      break;
    } catch {
      await sleep(5);
    }
  }
  const readyMs = performance.now() - startedAt;
  return { url, pid: child.pid!, readyMs, stop: () => stop(child) };
}

function stop(child: ChildProcess): Promise<void> {
  return new Promise((done) => {
    child.once('exit', () => done());
    child.kill('SIGTERM');
  });
}

/** What `load.mjs --json` prints, as far as it is read here. */
export interface LoadResult {
  readonly requests_per_s: number;
  readonly server_us_per_token: number;
  readonly wrong_length: number;
  readonly failed: number;
  readonly abs_error_ms: { readonly itl: { readonly p50: number; readonly p95: number } };
  readonly bias: { readonly e2e_percent: number };
}

export function load(server: Server, flags: readonly string[]): Promise<LoadResult> {
  const args = [
    join(PEERS, 'load.mjs'),
    '--url',
    server.url,
    '--pid',
    String(server.pid),
    '--json',
  ];
  const child = spawn(process.execPath, [...args, ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.on('data', (data) => {
    out += data;
  });
  return new Promise((done) => child.on('close', () => done(JSON.parse(out) as LoadResult)));
}

export const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}
