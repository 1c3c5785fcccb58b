/**
 * Whether the client itself was the bottleneck: how long its event loop was held up, and how much of
 * a core it used. A chunk that waits behind a busy loop is stamped late.
 */

import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { SendersReport } from './threads/spread-sender.js';

export interface ClientHealth {
  /** Beyond the monitor's own resolution. */
  readonly loopDelayP99Ms: number;
  readonly loopDelayMaxMs: number;
  /** Of one core, all threads together. */
  readonly cpuFraction: number;
  /** Threads that sent. */
  readonly numThreads: number;
  /** Why one of them is gone that should not be. */
  readonly lostThread?: string | undefined;
}

/** Of one thread. */
type OwnHealth = Omit<ClientHealth, 'numThreads' | 'lostThread'>;

const RESOLUTION_MS = 1;

export class HealthMonitor {
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #cpu = process.cpuUsage();
  readonly #startMs = performance.now();

  constructor() {
    this.#delay.enable();
  }

  stop(): OwnHealth {
    this.#delay.disable();
    const { user, system } = process.cpuUsage(this.#cpu);
    const elapsedMs = performance.now() - this.#startMs;
    const delayMs = (ns: number) => Math.max(0, ns / 1e6 - RESOLUTION_MS);
    return {
      loopDelayP99Ms: this.#delay.count > 0 ? delayMs(this.#delay.percentile(99)) : 0,
      loopDelayMaxMs: this.#delay.count > 0 ? delayMs(this.#delay.max) : 0,
      cpuFraction: (user + system) / 1e3 / Math.max(elapsedMs, 1e-3),
    };
  }
}

/** The load's own thread, and those that sent for it: the one that was held up most counts. */
export function healthOf(own: OwnHealth, senders: Omit<SendersReport, 'changes'>): ClientHealth {
  return {
    ...own,
    loopDelayP99Ms: Math.max(own.loopDelayP99Ms, senders.loopDelayP99Ms),
    loopDelayMaxMs: Math.max(own.loopDelayMaxMs, senders.loopDelayMaxMs),
    numThreads: Math.max(1, senders.numThreads),
    lostThread: senders.lost,
  };
}

/** Above these a measurement says as much about the client as about the server. */
export const LIMITS = { loopDelayP99Ms: 10, sendLagP99Ms: 10, cpuFraction: 0.85 } as const;

export function healthWarnings(health: ClientHealth, sendLagP99Ms: number | undefined): string[] {
  const warnings: string[] = [];
  if (health.loopDelayP99Ms > LIMITS.loopDelayP99Ms) {
    warnings.push(
      `the client's event loop was held up ${health.loopDelayP99Ms.toFixed(1)} ms (P99): latencies are too high by about that`,
    );
  }
  const { cpuFraction, numThreads, lostThread } = health;
  if (lostThread !== undefined) warnings.push(`a sending thread was lost: ${lostThread}`);
  if (cpuFraction / numThreads > LIMITS.cpuFraction) {
    const threads = numThreads > 1 ? ` in ${numThreads} threads` : '';
    warnings.push(
      `the client used ${(cpuFraction * 100).toFixed(0)} % of a core${threads}: near its limit; lower the rate, give it --workers, or run several clients`,
    );
  }
  if (sendLagP99Ms !== undefined && sendLagP99Ms > LIMITS.sendLagP99Ms) {
    warnings.push(
      `requests were sent ${sendLagP99Ms.toFixed(1)} ms late (P99): the load was not quite the one asked for`,
    );
  }
  return warnings;
}
