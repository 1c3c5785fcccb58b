/**
 * Whether the client itself was the bottleneck: how long its event loop was held up, and how much of
 * a core it used. A chunk that waits behind a busy loop is stamped late.
 */

import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';

export interface ClientHealth {
  /** Beyond the monitor's own resolution. */
  readonly loopDelayP99Ms: number;
  readonly loopDelayMaxMs: number;
  /** Of one core. */
  readonly cpuFraction: number;
}

const RESOLUTION_MS = 1;

export class HealthMonitor {
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #cpu = process.cpuUsage();
  readonly #startMs = performance.now();

  constructor() {
    this.#delay.enable();
  }

  stop(): ClientHealth {
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

/** Above these a measurement says as much about the client as about the server. */
export const LIMITS = { loopDelayP99Ms: 10, sendLagP99Ms: 10, cpuFraction: 0.85 } as const;

export function healthWarnings(health: ClientHealth, sendLagP99Ms: number | undefined): string[] {
  const warnings: string[] = [];
  if (health.loopDelayP99Ms > LIMITS.loopDelayP99Ms) {
    warnings.push(
      `the client's event loop was held up ${health.loopDelayP99Ms.toFixed(1)} ms (P99): latencies are too high by about that`,
    );
  }
  if (health.cpuFraction > LIMITS.cpuFraction) {
    warnings.push(
      `the client used ${(health.cpuFraction * 100).toFixed(0)} % of a core: near its limit; lower the rate or run several clients`,
    );
  }
  if (sendLagP99Ms !== undefined && sendLagP99Ms > LIMITS.sendLagP99Ms) {
    warnings.push(
      `requests were sent ${sendLagP99Ms.toFixed(1)} ms late (P99): the load was not quite the one asked for`,
    );
  }
  return warnings;
}
