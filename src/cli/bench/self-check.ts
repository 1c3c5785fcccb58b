/**
 * `bench self-check`: how much of a measured latency is this client's own. A server with known times
 * (our own, in a process of its own, unless one is given) is measured at growing numbers of streams;
 * what is measured beyond the known times is bias. Our server says by how much it released its tokens
 * late, so that the rest, the way there and back and the client, is told apart.
 */

import { biasMs, LIMITS } from '../../bench/client-health.js';
import type { BenchResult } from '../../bench/result.js';
import { ConfigError } from '../../core/errors.js';
import { percent, short, table } from '../../report/format.js';
import { jsonText } from '../../report/json.js';
import type { DefineCommand } from '../command.js';
import { type ExitCode, FAILED, INTERRUPTED, type Io, OK } from '../io.js';
import { addRows, type Flags, Reader } from '../simulate-flags.js';
import { countOf, listOf } from '../values.js';
import { runFlags } from './bench-run.js';
import { type KnownTimes, knownServer, LagSampler } from './known-server.js';

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
    exit(await selfCheck(own.optsWithGlobals(), io));
  });
};

async function selfCheck(flags: Flags, io: Io): Promise<ExitCode> {
  const given = new Reader(flags);
  const times = {
    ttftMs: given.numberFrom(0, 'time_to_first_token') ?? TTFT_MS,
    itlMs: given.numberFrom(0, 'inter_token_latency') ?? ITL_MS,
  };
  const streams = listOf('--streams', given.text('streams') ?? STREAMS).map((text) => {
    const count = countOf('--streams', text);
    if (count >= 1) return count;
    throw new ConfigError('--streams', 'whole numbers of at least 1', text);
  });
  const server = await knownServer(times, given.text('base_url'));
  const steps: Step[] = [];
  try {
    for (const count of streams) {
      const lag = new LagSampler(server.url);
      const result = await runFlags(flagsOf(count, times, server.url, given), io);
      steps.push(stepOf(count, result, times, await lag.stop()));
      if (result.stopped) break;
    }
  } finally {
    server.stop();
  }
  const { ttftMs, itlMs } = times;
  io.out(flags.json ? jsonText({ ttft_ms: ttftMs, itl_ms: itlMs, steps }) : text(steps));
  if (steps.some(({ stopped }) => stopped)) return INTERRUPTED;
  return steps.every(({ completed, requests }) => completed === requests) ? OK : FAILED;
}

/** Streams start one after the other over the length of one, so that none is held up by the start. */
function flagsOf(count: number, { ttftMs, itlMs }: KnownTimes, url: string, given: Reader): Flags {
  const lengthMs = ttftMs + itlMs * (OUTPUT_TOKENS - 1);
  const [model, workers] = [given.text('model'), given.text('workers')];
  return {
    baseUrl: url,
    backend: 'openai-chat',
    ...(model !== undefined && { model }),
    ...(workers !== undefined && { workers }),
    numPrompts: String(Math.max(2, 2 * count)),
    requestRate: String((count * 1e3) / lengthMs),
    burstiness: 'inf',
    randomInputLen: '16',
    randomOutputLen: String(OUTPUT_TOKENS),
    numWarmups: String(WARM_UPS),
    ttftMode: 'content',
    disableTqdm: true,
  };
}

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
  { ttftMs, itlMs }: KnownTimes,
  lagMs: number | undefined,
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
