/**
 * A simulation that is steered while it runs: requests come one by one, time passes as its owner says,
 * and what happens is told in chunks that are pulled.
 *
 * When nobody pulls, the clock is held: the engine waits for its reader, in virtual time and on the
 * wall alike, so that memory is bounded by a chunk.
 */

import { type Cluster, createEngine } from '../core/cluster/cluster.js';
import type { InputTimes, InstanceConfig, RequestHandle, RequestSpec } from '../core/engine.js';
import type { RunReport } from '../core/metrics/report.js';
import { fanOut } from '../core/trace/tracer.js';
import type { DurationNs, TimeNs } from '../core/units.js';
import { type Detail, recordEvents, type SimulationEvent } from './events.js';
import { SteeredClock } from './steered-clock.js';

export interface SteeredOptions extends InputTimes {
  readonly instances: readonly InstanceConfig[];
  readonly router: string;
  readonly seed: number;
  readonly detail: Detail;
  /** Events that may wait to be pulled. */
  readonly chunkSize?: number;
  /** Told when there is something to take. */
  readonly onEvents: () => void;
}

const CHUNK_SIZE = 512;

export class SteeredSimulation {
  readonly clock = new SteeredClock();
  readonly #engine: Cluster;
  readonly #unfinished = new Map<string, RequestHandle>();
  #chunk: SimulationEvent[] = [];
  #numSubmitted = 0;
  #firstAt: TimeNs | undefined;
  #lastAt: TimeNs = 0;

  constructor(options: SteeredOptions) {
    const { chunkSize = CHUNK_SIZE, onEvents } = options;
    const events = recordEvents(options.detail, (event) => {
      this.#chunk.push(event);
      if (this.#chunk.length === 1) onEvents();
      if (this.#chunk.length >= chunkSize) this.clock.hold();
    });
    const ends = {
      requestFinish: ({ spec }: { readonly spec: RequestSpec }) => {
        this.#unfinished.delete(spec.id!);
      },
    };
    this.#engine = createEngine({ ...options, tracer: fanOut([ends, events]) });
  }

  get now(): TimeNs {
    return this.clock.now();
  }

  get numUnfinished(): number {
    return this.#unfinished.size;
  }

  /** What was submitted so far, and over how long. */
  get offered(): { readonly numRequests: number; readonly spanNs: DurationNs } {
    return { numRequests: this.#numSubmitted, spanNs: this.#lastAt - (this.#firstAt ?? 0) };
  }

  /** Whether there is something to take. */
  get hasNews(): boolean {
    return this.#chunk.length > 0;
  }

  isUnfinished(id: string): boolean {
    return this.#unfinished.has(id);
  }

  /** A request arrives now, or later. */
  submit(spec: RequestSpec & { readonly id: string }, at: TimeNs): void {
    const arrivesAt = Math.max(at, this.clock.now(), this.#engine.now);
    this.#unfinished.set(spec.id, this.#engine.submit(arrivesAt, spec));
    this.#numSubmitted++;
    this.#firstAt ??= arrivesAt;
    this.#lastAt = Math.max(this.#lastAt, arrivesAt);
    this.#arm();
  }

  /** Its caller goes away now. */
  cancel(id: string): void {
    const handle = this.#unfinished.get(id);
    if (handle === undefined) return;
    this.#engine.cancel(Math.max(this.clock.now(), this.#engine.now), handle);
    this.#arm();
  }

  /** What happened since the last call; time goes on. */
  take(): readonly SimulationEvent[] {
    const chunk = this.#chunk;
    this.#chunk = [];
    this.clock.release();
    return chunk;
  }

  report(): RunReport {
    return this.#engine.report();
  }

  close(): void {
    this.clock.close();
  }

  #arm(): void {
    const at = this.#engine.nextEventAt();
    if (at === undefined) this.clock.sleep();
    else this.clock.wakeAt(at, this.#wake);
  }

  readonly #wake = (): void => {
    this.#engine.advanceTo(this.clock.now());
    this.#arm();
  };
}
