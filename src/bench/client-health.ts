/**
 * What the client itself does to a measurement: its bias, how near it was to its limit, and from where on
 * a reader should not trust it. Every report says so, from what its own run saw (`thread-monitor.ts`);
 * `bench self-check` holds the estimate against known times.
 *
 *   bias    what the client adds to a TTFT: the time until a request has left, and until an answer that
 *           has arrived is stamped. Medians. The kernel and the network are not in it
 *   limit   chunks (requests) per second at which the threads that send would never sleep, at what each
 *           costs in this run: a lower bound, since they cost less when they come closer together
 */

import type { ThreadUse } from './thread-monitor.js';

export interface ClientHealth {
  /** Absent where nothing was sent, or nothing came back. */
  readonly bias: Bias | undefined;
  readonly limit: Limit | undefined;
  /** Of the fullest thread, in its busiest second. */
  readonly busiestFraction: number;
  /** Of the thread that was held up most, beyond the monitor's own resolution. */
  readonly loopDelayP99Ms: number;
  readonly loopDelayMaxMs: number;
  /** Of one core, all threads together. */
  readonly cpuFraction: number;
  /** Threads that sent. */
  readonly numThreads: number;
  /** Why one of them is gone that should not be. */
  readonly lostThread?: string | undefined;
}

export interface Bias {
  readonly sendMs: number;
  readonly receiveMs: number;
}

export interface Limit {
  readonly chunksPerS: number;
  readonly requestsPerS: number;
}

/** What whoever sent says when a run is over. */
export interface SendersReport {
  /** The thread of the load, which sends itself while there are no others. */
  readonly load: ThreadUse;
  readonly others: readonly ThreadUse[];
  readonly cpuFraction: number;
  /** What had to be changed in the requests for this server. */
  readonly changes: readonly string[];
  readonly lost: string | undefined;
}

export function healthOf({ load, others, cpuFraction, lost }: SendersReport): ClientHealth {
  const all = [load, ...others];
  const senders = others.length > 0 ? others : [load];
  const most = (of: (use: ThreadUse) => number) => Math.max(...all.map(of));
  return {
    bias: biasOf(all),
    limit: limitOf(senders),
    busiestFraction: most(({ busiestFraction }) => busiestFraction),
    loopDelayP99Ms: most(({ loopDelayP99Ms }) => loopDelayP99Ms),
    loopDelayMaxMs: most(({ loopDelayMaxMs }) => loopDelayMaxMs),
    cpuFraction,
    numThreads: senders.length,
    lostThread: lost,
  };
}

export const biasMs = ({ sendMs, receiveMs }: Bias): number => sendMs + receiveMs;

/** Medians of the threads, by how much each of them sent. */
function biasOf(all: readonly ThreadUse[]): Bias | undefined {
  const mean = (of: (use: ThreadUse) => number | undefined): number | undefined => {
    const known = all.filter((use) => use.numRequests > 0 && of(use) !== undefined);
    const total = known.reduce((sum, { numRequests }) => sum + numRequests, 0);
    if (total === 0) return undefined;
    return known.reduce((sum, use) => sum + of(use)! * use.numRequests, 0) / total;
  };
  const sendMs = mean((use) => use.sendMs);
  const receiveMs = mean((use) => use.receiveMs);
  return sendMs === undefined || receiveMs === undefined ? undefined : { sendMs, receiveMs };
}

function limitOf(senders: readonly ThreadUse[]): Limit | undefined {
  const perBusySecond = (of: (use: ThreadUse) => number) =>
    senders.reduce((sum, use) => sum + (use.busyMs > 0 ? (of(use) / use.busyMs) * 1e3 : 0), 0);
  const limit = {
    chunksPerS: perBusySecond(({ numChunks }) => numChunks),
    requestsPerS: perBusySecond(({ numRequests }) => numRequests),
  };
  return limit.chunksPerS > 0 ? limit : undefined;
}

/** Above these a measurement says as much about the client as about the server. */
export const LIMITS = {
  biasMs: 3,
  busiestFraction: 0.85,
  loopDelayP99Ms: 10,
  sendLagP99Ms: 10,
} as const;

/** @param sendLagP99Ms where requests had a time of their own */
export function healthWarnings(health: ClientHealth, sendLagP99Ms?: number): string[] {
  const { bias, busiestFraction, loopDelayP99Ms, lostThread } = health;
  const warnings: string[] = [];
  if (lostThread !== undefined) warnings.push(`a sending thread was lost: ${lostThread}`);
  if (busiestFraction > LIMITS.busiestFraction) {
    warnings.push(
      `the client was near its limit: a thread had ${percentOf(busiestFraction)} of a second to do; lower the rate, give it --workers, or run several clients`,
    );
  }
  if (bias && biasMs(bias) > LIMITS.biasMs) {
    warnings.push(`the client adds about ${biasMs(bias).toFixed(1)} ms to TTFT and E2EL itself`);
  }
  if (loopDelayP99Ms > LIMITS.loopDelayP99Ms) {
    warnings.push(
      `the client's event loop was held up ${loopDelayP99Ms.toFixed(1)} ms (P99): high percentiles are too high by about that`,
    );
  }
  if (sendLagP99Ms !== undefined && sendLagP99Ms > LIMITS.sendLagP99Ms) {
    warnings.push(
      `requests were sent ${sendLagP99Ms.toFixed(1)} ms late (P99): the load was not quite the one asked for`,
    );
  }
  return warnings;
}

/** How the client was, in one sentence under a table. */
export function healthLine(health: ClientHealth, sendLagP99Ms?: number): string {
  const { bias, limit, numThreads, busiestFraction, loopDelayP99Ms } = health;
  const threads = numThreads > 1 ? ` with ${numThreads} threads` : '';
  return `Client: ${[
    ...(bias ? [`adds about ${biasMs(bias).toFixed(2)} ms to TTFT and E2EL`] : []),
    `a thread was ${percentOf(busiestFraction)} busy at most`,
    ...(limit ? [`room for at least ${rounded(limit.chunksPerS)} chunks/s${threads}`] : []),
    `event loop held up ${loopDelayP99Ms.toFixed(2)} ms (P99)`,
    ...(sendLagP99Ms === undefined
      ? []
      : [`requests sent ${sendLagP99Ms.toFixed(2)} ms late (P99)`]),
  ].join(', ')}.`;
}

/** Own keys of a result. */
export function healthJson(health: ClientHealth) {
  const { bias, limit } = health;
  return {
    client_bias_ms: bias ? biasMs(bias) : null,
    client_bias_send_ms: bias?.sendMs ?? null,
    client_bias_receive_ms: bias?.receiveMs ?? null,
    client_limit_chunks_per_s: limit?.chunksPerS ?? null,
    client_limit_requests_per_s: limit?.requestsPerS ?? null,
    busiest_second_fraction: health.busiestFraction,
    loop_delay_p99_ms: health.loopDelayP99Ms,
    loop_delay_max_ms: health.loopDelayMaxMs,
    cpu_fraction: health.cpuFraction,
    num_threads: health.numThreads,
  };
}

const percentOf = (fraction: number): string => `${(fraction * 100).toFixed(0)} %`;

/** Two digits: it is an estimate. */
const rounded = (value: number): string =>
  Number(value.toPrecision(2)).toLocaleString('en-US', { maximumFractionDigits: 0 });
