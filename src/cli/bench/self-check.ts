/**
 * `bench self-check`: how much of a measured latency is this client's own. A server with known times
 * (our own, in a process of its own, unless one is given) is measured at growing numbers of streams;
 * what is measured beyond the known times is bias. Our server says by how much it released its tokens
 * late, so that the rest, the way there and back and the client, is told apart.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { biasMs, LIMITS } from '../../bench/client-health.js';
import { baseOf } from '../../bench/endpoint.js';
import { HttpClient } from '../../bench/http-client.js';
import type { BenchResult } from '../../bench/result.js';
import { dataPath } from '../../config/data-dir.js';
import { ConfigError } from '../../core/errors.js';
import { percent, short, table } from '../../report/format.js';
import { jsonText } from '../../report/result-json.js';
import type { DefineCommand } from '../command.js';
import { FAILED, INTERRUPTED, OK } from '../io.js';
import { addRows, type Flags, Reader } from '../simulate-flags.js';
import { listOf, numberOf } from '../values.js';
import { runFlags } from './bench-run.js';

const TTFT_MS = 200;
const ITL_MS = 20;
const OUTPUT_TOKENS = 64;
/** Streams of the steps. */
const STREAMS = '1,100,500';
/** Code that runs for the first time is slow, in client and server. */
const WARM_UPS = 32;

export const defineSelfCheck: DefineCommand = (command, io, exit) => {
  addRows(command, 'Self-check:', [
    ['--base-url <url>', 'a server with known times; default: our own is started'],
    ['--model <name>', 'what it serves'],
    ['--time-to-first-token <ms>', `its time to the first token (${TTFT_MS})`],
    ['--inter-token-latency <ms>', `its time for each further one (${ITL_MS})`],
    ['--streams <list>', `streams at once (${STREAMS})`],
    ['--workers <n>', 'threads that send (auto)'],
    ['--json', 'print JSON'],
  ]);
  command.action(async (_: Flags, own: { optsWithGlobals(): Flags }) => {
    const flags = own.optsWithGlobals();
    const given = new Reader(flags);
    const ttftMs = given.numberFrom(0, 'time_to_first_token') ?? TTFT_MS;
    const itlMs = given.numberFrom(0, 'inter_token_latency') ?? ITL_MS;
    const streams = listOf('--streams', given.text('streams') ?? STREAMS);
    const server = await serverOf(given.text('base_url'), ttftMs, itlMs);
    const steps: Step[] = [];
    try {
      for (const text of streams) {
        const count = numberOf('--streams', text);
        // Streams start one after the other over the length of one, so that none is held up by the start.
        const lengthMs = ttftMs + itlMs * (OUTPUT_TOKENS - 1);
        const lag = new LagSampler(server.url);
        const result = await runFlags(
          {
            baseUrl: server.url,
            backend: 'openai-chat',
            ...(given.text('model') !== undefined && { model: given.text('model') }),
            numPrompts: String(Math.max(2, 2 * count)),
            requestRate: String((count * 1e3) / lengthMs),
            burstiness: 'inf',
            randomInputLen: '16',
            randomOutputLen: String(OUTPUT_TOKENS),
            numWarmups: String(WARM_UPS),
            ttftMode: 'content',
            disableTqdm: true,
            ...(given.text('workers') !== undefined && { workers: given.text('workers') }),
          },
          io,
        );
        steps.push(stepOf(count, result, { ttftMs, itlMs, lagMs: await lag.stop() }));
        if (result.stopped) break;
      }
    } finally {
      server.stop();
    }
    io.out(flags.json ? jsonText({ ttft_ms: ttftMs, itl_ms: itlMs, steps }) : text(steps));
    if (steps.some(({ stopped }) => stopped)) exit(INTERRUPTED);
    else exit(steps.every(({ completed, requests }) => completed === requests) ? OK : FAILED);
  });
};

interface Step {
  readonly streams: number;
  readonly requests: number;
  readonly completed: number;
  readonly stopped: boolean;
  readonly ttft_bias_median_ms: number;
  readonly ttft_bias_p99_ms: number;
  /** What the server says it was late itself, in the middle of the step; null where it does not. */
  readonly server_lag_ms: number | null;
  /** The median bias without it. */
  readonly client_bias_ms: number;
  /** What the client would say of itself in a report; null where it saw too little. */
  readonly client_bias_estimate_ms: number | null;
  readonly tpot_bias_median_ms: number;
  readonly tokens_equal: boolean;
  readonly cpu_fraction: number;
  readonly loop_delay_p99_ms: number;
  readonly busiest_second_fraction: number;
  readonly client_limit_chunks_per_s: number | null;
}

function stepOf(
  streams: number,
  { measured, health, config, stopped }: BenchResult,
  { ttftMs, itlMs, lagMs }: { ttftMs: number; itlMs: number; lagMs: number | undefined },
): Step {
  const overMs = measured.contentTtft.quantileMs(0.5) - ttftMs;
  return {
    streams,
    requests: config.numPrompts,
    completed: measured.completed,
    stopped,
    ttft_bias_median_ms: overMs,
    ttft_bias_p99_ms: measured.contentTtft.quantileMs(0.99) - ttftMs,
    server_lag_ms: lagMs ?? null,
    client_bias_ms: overMs - (lagMs ?? 0),
    client_bias_estimate_ms: health.bias ? biasMs(health.bias) : null,
    tpot_bias_median_ms: measured.tpot.quantileMs(0.5) - itlMs,
    tokens_equal: measured.totalOutputTokens === measured.completed * OUTPUT_TOKENS,
    cpu_fraction: health.cpuFraction,
    loop_delay_p99_ms: health.loopDelayP99Ms,
    busiest_second_fraction: health.busiestFraction,
    client_limit_chunks_per_s: health.limit?.chunksPerS ?? null,
  };
}

function text(steps: readonly Step[]): string {
  const header = [
    ...['streams', 'TTFT bias ms', 'p99', 'of it server', 'client', 'estimate', 'TPOT bias ms'],
    ...['tokens', 'busy', 'loop p99 ms', 'limit chunks/s'],
  ];
  const rows = steps.map((step) => [
    String(step.streams),
    step.ttft_bias_median_ms.toFixed(2),
    step.ttft_bias_p99_ms.toFixed(2),
    step.server_lag_ms === null ? '-' : step.server_lag_ms.toFixed(2),
    step.client_bias_ms.toFixed(2),
    step.client_bias_estimate_ms?.toFixed(2) ?? '-',
    step.tpot_bias_median_ms.toFixed(3),
    step.tokens_equal ? 'equal' : 'differ',
    percent(step.busiest_second_fraction),
    step.loop_delay_p99_ms.toFixed(2),
    step.client_limit_chunks_per_s === null ? '-' : `>= ${short(step.client_limit_chunks_per_s)}`,
  ]);
  const limit = steps.findLast(({ client_bias_ms }) => client_bias_ms < LIMITS.biasMs);
  return [
    ...table([header, ...rows]),
    '',
    'Bias: what is measured beyond the known times. Server: what it says it was late itself; client: the',
    'rest, with connecting, reading the request and both ways; estimate: what reports say of it, which is',
    'the part within this process.',
    limit
      ? `Up to ${limit.streams} streams this client adds less than ${LIMITS.biasMs} ms to the median TTFT.`
      : `Every step is off by ${LIMITS.biasMs} ms or more: this machine is too busy to measure.`,
    '',
  ].join('\n');
}

const SAMPLE_EVERY_MS = 200;

/** Asks a server of ours how late it is, while it is measured. */
class LagSampler {
  readonly #client = new HttpClient();
  readonly #url: URL;
  readonly #samples: number[] = [];
  readonly #timer: NodeJS.Timeout;
  #last: Promise<void> = Promise.resolve();

  constructor(baseUrl: string) {
    this.#url = new URL('/status', baseOf({ baseUrl }));
    this.#timer = setInterval(() => {
      this.#last = this.#sample();
    }, SAMPLE_EVERY_MS);
  }

  /** The median; `undefined` where the server does not say. */
  async stop(): Promise<number | undefined> {
    clearInterval(this.#timer);
    await this.#last;
    this.#client.close();
    return this.#samples.sort((a, b) => a - b)[this.#samples.length >> 1];
  }

  async #sample(): Promise<void> {
    let text = '';
    const onData = (bytes: Buffer) => {
      text += bytes.toString('utf8');
    };
    const url = this.#url;
    await this.#client.exchange({ url, method: 'GET', headers: {}, timeoutMs: 1e3, onData });
    const lag = /"lag_ms":([\d.]+)/.exec(text)?.[1];
    if (lag !== undefined) this.#samples.push(Number(lag));
  }
}

const STARTS_WITHIN_MS = 20_000;

async function serverOf(
  url: string | undefined,
  ttftMs: number,
  itlMs: number,
): Promise<{ url: string; stop(): void }> {
  if (url !== undefined) return { url, stop() {} };
  const bin = dataPath('src/cli/bin.js');
  if (!existsSync(bin)) {
    throw new ConfigError('--base-url', 'a server with known times', undefined);
  }
  const times = [`--time-to-first-token=${ttftMs}`, `--inter-token-latency=${itlMs}`];
  const child = spawn(process.execPath, [bin, 'server', '--port=0', '--grpc-port=0', ...times], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return { url: await addressOf(child), stop: () => void child.kill() };
}

/** The address a server says when it listens. */
function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    const fail = () => {
      child.kill();
      reject(new ConfigError('--base-url', 'our own server to start', said.slice(0, 200)));
    };
    const timer = setTimeout(fail, STARTS_WITHIN_MS);
    child.once('exit', fail);
    child.stdout!.on('data', (bytes: Buffer) => {
      said += bytes.toString('utf8');
      const url = /OpenAI +(http:\S+)/.exec(said)?.[1];
      if (url === undefined) return;
      clearTimeout(timer);
      child.off('exit', fail);
      resolve(url);
    });
  });
}
