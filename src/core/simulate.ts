/**
 * Trace simulation: the engine on the virtual clock, fed by a workload.
 *
 * The workload is asked for one arrival ahead, so the engine always knows the next one and its runs
 * end there by themselves. The time advanced to is just before the arrival known last: whatever
 * arrives in the same nanosecond is then seen by the same step.
 */

import { type Cluster, createEngine } from './cluster/cluster.js';
import type { InstanceConfig } from './engine.js';
import type { RunReport, Slo } from './metrics/report.js';
import { RunMetrics } from './metrics/run-metrics.js';
import { fanOut, type Tracer } from './trace/tracer.js';
import type { DurationNs, TimeNs } from './units.js';
import type { Workload } from './workload/workload.js';

export interface SimulationOptions {
  readonly instances: readonly InstanceConfig[];
  readonly router: string;
  readonly seed: number;
  readonly inputLatencyNs: DurationNs;
  readonly workload: Workload;
  readonly tracers?: readonly Tracer[];
  readonly slo?: Slo;
  /** Keep every latency sample, so that quantiles are exact. */
  readonly exact?: boolean;
}

export interface Progress {
  readonly atNs: TimeNs;
  readonly submitted: number;
  readonly ended: number;
  readonly outputTokens: number;
}

export class Simulation {
  readonly engine: Cluster;
  readonly #workload: Workload;
  readonly #metrics: RunMetrics;
  #lastAt: TimeNs = 0;

  constructor(options: SimulationOptions) {
    const { workload, tracers = [] } = options;
    this.#workload = workload;
    this.#metrics = new RunMetrics(options.slo, options.exact ?? false);
    const loop: Tracer = workload.ended
      ? { requestFinish: (outcome) => workload.ended!(outcome) }
      : {};
    this.engine = createEngine({
      instances: options.instances,
      router: options.router,
      seed: options.seed,
      inputLatencyNs: options.inputLatencyNs,
      metrics: this.#metrics,
      tracer: fanOut([loop, ...tracers]),
    });
  }

  /** Simulates until about `numArrivals` more requests have arrived; true when everything is over. */
  advance(numArrivals: number): boolean {
    const { engine } = this;
    const workload = this.#workload;
    for (let i = 0; i < numArrivals; i++) {
      const arrival = workload.next();
      if (arrival) {
        engine.submit(arrival.at, arrival.spec);
        if (arrival.at === this.#lastAt) continue;
        this.#lastAt = arrival.at;
        engine.advanceTo(arrival.at - 1);
        continue;
      }
      // Nothing more is known: let time pass, event by event while an end may bring new arrivals.
      const at = engine.nextEventAt();
      if (at === undefined) return true;
      engine.advanceTo(workload.ended ? at : Infinity);
      if (engine.now > this.#lastAt) this.#lastAt = engine.now;
    }
    return false;
  }

  get progress(): Progress {
    const { completed, aborted, rejected, outputTokens } = this.#metrics;
    return {
      atNs: this.engine.now,
      submitted: this.engine.numSubmitted,
      ended: completed + aborted + rejected,
      outputTokens,
    };
  }

  /** What has been simulated so far; the whole result once `advance` has said true. */
  report(): RunReport {
    return this.engine.report();
  }
}

/** Simulates `options.workload` to its end. */
export function simulate(options: SimulationOptions): RunReport {
  const simulation = new Simulation(options);
  while (!simulation.advance(Infinity));
  return simulation.report();
}
