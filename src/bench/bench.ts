/**
 * One benchmark: a load, a server, a result. Prompts are made before the clock starts, as far as memory
 * allows; warm-up requests go first and are not measured.
 */

import { setMaxListeners } from 'node:events';
import { buildLoad, type LoadOptions } from '../core/workload/load.js';
import { healthOf } from './client-health.js';
import { Measurement, type MeasurementOptions } from './measurement.js';
import { type Probed, probe } from './probe.js';
import type { BenchRequest } from './request.js';
import type { BenchConfig, BenchResult } from './result.js';
import { msOf, type PlannedRequest, runLoad } from './run-load.js';
import type { BenchSource } from './source.js';
import type { LoadSender } from './threads/spread-sender.js';

export interface BenchOptions {
  readonly config: BenchConfig;
  readonly load: LoadOptions;
  readonly source: BenchSource;
  readonly sender: LoadSender;
  readonly measurement: MeasurementOptions;
  readonly numWarmups: number;
  /** Probes per second beside the load. */
  readonly probeRate?: number | undefined;
  /** Requests are sent for this long at most. */
  readonly durationMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: BenchProgress) => void;
}

export interface BenchProgress {
  readonly sent: number;
  readonly measurement: Measurement;
  readonly elapsedMs: number;
}

/** So much is made before the start; the rest while it runs, so that memory does not grow with the load. */
const MOST_PREPARED_TOKENS = 4e6;
const MOST_PREPARED = 4096;
/** Of pictures. */
const MOST_PREPARED_CHARS = 128e6;

export async function runBench(options: BenchOptions): Promise<BenchResult> {
  const { config, load, sender, signal, numWarmups } = options;
  // Every request under way listens for the end of the run.
  if (signal) setMaxListeners(0, signal);
  const plan = planOf(options);
  await sender.ready();
  if (numWarmups > 0) await warmUp(options, plan.first());
  const measurement = new Measurement(options.measurement);
  sender.begin();
  const startMs = performance.now();
  const finishProbes = startProbes(options, startMs);
  let sent = 0;
  const progress = () =>
    options.onProgress?.({ sent, measurement, elapsedMs: performance.now() - startMs });
  const run = await runLoad({
    next: () => plan.next(),
    maxConcurrency: load.maxConcurrency,
    durationMs: options.durationMs,
    signal,
    send: (request, times) => sender.send(request, times, signal),
    onIdle: (ms) => sender.idled(ms),
    onSent() {
      sent++;
      progress();
    },
    onRecord(record) {
      // What Ctrl-C broke off is no failure of the server.
      if (record.failure?.kind !== 'interrupted') measurement.add(record);
      progress();
    },
  });
  const probes = await finishProbes?.();
  const senders = await sender.finish();
  return {
    config,
    durationMs: run.durationMs,
    measured: measurement.result(),
    health: healthOf(senders),
    probes,
    stopped: signal?.aborted ?? false,
    changes: senders.changes,
  };
}

/** How to end them, and what they saw; `undefined` where none were asked for. */
function startProbes(
  { probeRate, sender, signal }: BenchOptions,
  originMs: number,
): (() => Promise<Probed>) | undefined {
  if (probeRate === undefined) return undefined;
  const over = new AbortController();
  const probed = probe({ rate: probeRate, sender, originMs, signal }, over.signal);
  return () => {
    over.abort();
    return probed;
  };
}

async function warmUp(options: BenchOptions, first: BenchRequest | undefined): Promise<void> {
  const { sender, numWarmups, load, signal } = options;
  let left = first ? numWarmups : 0;
  await runLoad({
    next: () =>
      left-- > 0 ? { atMs: 0, request: { ...first!, id: `warm-up-${left}` } } : undefined,
    maxConcurrency: load.maxConcurrency,
    signal,
    send: (request, times) => sender.send(request, times, signal),
    onRecord() {},
  });
}

interface Plan {
  next(): PlannedRequest | undefined;
  first(): BenchRequest | undefined;
}

/** The load at its times. The bound on concurrency is the client's own, not the workload's. */
function planOf({ load, source, config }: BenchOptions): Plan {
  const workload = buildLoad({ ...load, maxConcurrency: undefined }, config.seed);
  const prepared: PlannedRequest[] = [];
  let index = 0;
  let numTokens = 0;
  let numChars = 0;
  const make = (): PlannedRequest | undefined => {
    const arrival = workload.next();
    if (!arrival) return undefined;
    const request = source.requestOf(arrival.spec, index++);
    return { atMs: msOf(arrival.at), request };
  };
  while (
    numTokens < MOST_PREPARED_TOKENS &&
    numChars < MOST_PREPARED_CHARS &&
    prepared.length < MOST_PREPARED
  ) {
    const planned = make();
    if (!planned) break;
    numTokens += planned.request.promptTokens;
    for (const part of planned.request.media ?? []) numChars += JSON.stringify(part).length;
    prepared.push(planned);
  }
  const first = prepared[0]?.request;
  let at = 0;
  return {
    first: () => first,
    next() {
      if (at < prepared.length) return prepared[at++];
      if (prepared.length > 0) prepared.length = at = 0;
      return make();
    },
  };
}
