/**
 * Trace simulation: the engine on the virtual clock, fed by a workload.
 *
 * The workload is asked for one arrival ahead, so the engine always knows the next one and its runs
 * end there by themselves. The time advanced to is just before the arrival known last: whatever
 * arrives in the same nanosecond is then seen by the same step.
 */

import { type Cluster, createEngine } from './cluster/cluster.js';
import { DOUBLE_ZERO } from './double.js';
import type { InputTimes, InstanceConfig } from './engine.js';
import type { RunReport, Slo } from './metrics/report.js';
import { RunMetrics } from './metrics/run-metrics.js';
import { fanOut, type Tracer } from './trace/tracer.js';
import type { TimeNs } from './units.js';
import type { Workload } from './workload/workload.js';

export interface SimulationOptions extends InputTimes {
  readonly instances: readonly InstanceConfig[];
  readonly router: string;
  readonly seed: number;
  readonly workload: Workload;
  readonly tracers?: readonly Tracer[];
  readonly slo?: Slo;
  /** Keep every latency sample, so that quantiles are exact. */
  readonly exact?: boolean;
  /** Let `advance` count events of the engine as well as arrivals: for those who pace or bound them. */
  readonly eventwise?: boolean;
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
  readonly #eventwise: boolean;
  /** The arrival known last; what happens before it can be simulated. */
  #knownUntil: TimeNs = DOUBLE_ZERO;

  constructor(options: SimulationOptions) {
    const { workload, tracers = [] } = options;
    this.#workload = workload;
    this.#metrics = new RunMetrics(options.slo, options.exact ?? false);
    // A workload that waits for ends must be asked after each of them.
    this.#eventwise = options.eventwise === true || workload.ended !== undefined;
    // An end may bring an arrival of the same instant: it is in time for the step that begins then.
    const loop: Tracer = workload.ended
      ? {
          requestFinish: (outcome) => {
            workload.ended!(outcome);
            this.#submitNext();
          },
        }
      : {};
    this.engine = createEngine({
      instances: options.instances,
      router: options.router,
      seed: options.seed,
      inputLatencyNs: options.inputLatencyNs,
      tokenizingNsPerToken: options.tokenizingNsPerToken ?? 0,
      metrics: this.#metrics,
      tracer: fanOut([loop, ...tracers]),
    });
  }

  /** When something happens next; Infinity when that is not known before `advance`, or never. */
  get nextAt(): TimeNs {
    return this.engine.nextEventAt() ?? Infinity;
  }

  /** Simulates until about `numArrivals` more requests have arrived; true when everything is over. */
  advance(numArrivals: number): boolean {
    for (let i = 0; i < numArrivals; i++) if (!this.#advanceOnce()) return true;
    return false;
  }

  /** One arrival, or one event where each counts. False: nothing is left. */
  #advanceOnce(): boolean {
    const { engine } = this;
    if (this.#eventwise) {
      const at = engine.nextEventAt();
      if (at !== undefined && at < this.#knownUntil) {
        engine.advanceTo(at);
        return true;
      }
    }
    if (this.#submitNext()) {
      if (!this.#eventwise && this.#knownUntil > engine.now) engine.advanceTo(this.#knownUntil - 1);
      return true;
    }
    // Nothing more is known: event by event, so that whoever counts can stop.
    const at = engine.nextEventAt();
    if (at === undefined) return false;
    engine.advanceTo(at);
    return true;
  }

  #submitNext(): boolean {
    const arrival = this.#workload.next();
    if (!arrival) return false;
    this.engine.submit(arrival.at, arrival.spec);
    if (arrival.at > this.#knownUntil) this.#knownUntil = arrival.at;
    return true;
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
