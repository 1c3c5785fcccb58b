/** Running `bench`: once, or once for each of several rates or concurrencies. */

import { runBench } from '../../bench/bench.js';
import type { BenchResult } from '../../bench/result.js';
import type { SendTimes } from '../../bench/sender.js';
import { ConfigError } from '../../core/errors.js';
import { short } from '../../report/format.js';
import type { Io } from '../io.js';
import type { Flags } from '../simulate-flags.js';
import { BenchProgressLine } from './bench-progress.js';
import { type BenchSetup, setUpBench } from './bench-setup.js';

/** Sets up from the flags, waits for the server when asked to, and runs until the end or Ctrl-C. */
export async function runFlags(flags: Flags, io: Io): Promise<BenchResult> {
  const setup = await setUpBench(flags, process.env, (text) => io.err(`warning: ${text}\n`));
  try {
    if (setup.readyTimeoutMs > 0) await waitReady(setup, io);
    if (!flags.json && flags.disableTqdm !== true) io.err(intro(setup));
    return await runSetup(setup, flags, io);
  } finally {
    setup.close();
  }
}

async function runSetup(setup: BenchSetup, flags: Flags, io: Io): Promise<BenchResult> {
  const stop = new AbortController();
  const release = io.onInterrupt(() => stop.abort());
  const line =
    io.errIsTerminal && flags.disableTqdm !== true
      ? new BenchProgressLine(io, setup.options.config.numPrompts)
      : undefined;
  try {
    return await runBench({
      ...setup.options,
      signal: stop.signal,
      ...(line && { onProgress: (progress) => line.show(progress) }),
    });
  } finally {
    line?.clear();
    release();
  }
}

function intro({ options: { config, load, numWarmups }, notes }: BenchSetup): string {
  const { rampUp, requestRate = 'as recorded' } = config;
  const b = load.burstiness ?? 1;
  const shape = b === 1 ? 'Poisson process' : b === Infinity ? 'constant' : 'Gamma distribution';
  return [
    ...notes.map((note) => `Note: ${note}.`),
    ...(numWarmups > 0 ? [`Warming up with ${numWarmups} requests...`] : []),
    'Starting main benchmark run...',
    rampUp
      ? `Traffic ramp-up strategy: ${rampUp.strategy}, from ${rampUp.startRps} to ${rampUp.endRps} RPS`
      : `Traffic request rate: ${requestRate === Infinity ? 'inf' : requestRate}`,
    `Burstiness factor: ${b === Infinity ? 'inf' : b} (${shape})`,
    `Maximum request concurrency: ${load.maxConcurrency ?? 'None'}`,
    '',
  ].join('\n');
}

const CHECK_EVERY_MS = 500;

/** Sends the first request again and again until it is answered. @throws {ConfigError} when time is out */
async function waitReady({ options, readyTimeoutMs }: BenchSetup, io: Io): Promise<void> {
  io.err('Waiting for the first answer...\n');
  const { source, sender } = options;
  const spec = { promptTokens: 1, maxTokens: 1 };
  const request = { ...source.requestOf(spec, 0), id: 'ready-check' };
  const startMs = performance.now();
  for (;;) {
    const now = performance.now();
    const times: SendTimes = { originMs: now, scheduledMs: now, dispatchedMs: now };
    const { failure } = await sender.send(request, times);
    if (!failure) return;
    if (performance.now() - startMs >= readyTimeoutMs) {
      const seconds = short(readyTimeoutMs / 1e3);
      throw new ConfigError('--base-url', `an answer within ${seconds} s`, failure.message);
    }
    await new Promise((resolve) => setTimeout(resolve, CHECK_EVERY_MS));
  }
}
