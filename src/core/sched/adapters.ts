/**
 * The LoRA adapters of one instance: which of them run, which are in a slot of the GPU, which in host
 * memory.
 *
 *   disk ──fetch──► host memory, maxCpuLoras ──load──► GPU, maxLoras slots
 *
 * A step computes with at most `maxLoras` different adapters, so a request whose adapter would be one
 * more is passed over until one of them has no running request left. An adapter nobody runs keeps its
 * place until another needs it; the one used longest ago goes first, ties by name. What is on the GPU is in
 * host memory as well, so an adapter that leaves host memory leaves its slot.
 *
 * A request needs its adapter until its last token is scheduled, not until it is delivered.
 *
 * @see vLLM v1 `Scheduler.schedule` (`scheduled_loras`) and `LRUCacheWorkerLoRAManager`
 */

import type { LoraConfig } from '../engine.js';
import { invariant } from '../errors.js';
import type { Ticks } from '../units.js';

interface Adapter {
  readonly name: string;
  /** Requests that run with it. */
  numRunning: number;
  onGpu: boolean;
  /** The last call in which one of them ran, when none does. */
  lastCall: number;
}

export class Adapters {
  /** Adapters that running requests need. */
  numActive = 0;
  /** Decodes in the aggregate that run with an adapter. */
  numDecodes = 0;
  readonly stats = { loads: 0, fetches: 0, evictions: 0, cpuEvictions: 0, loadTicks: 0 };
  readonly #inHost = new Map<string, Adapter>();
  #numOnGpu = 0;

  constructor(private readonly config: LoraConfig) {}

  /** Whether a request with this adapter may run beside those that do. */
  admits(name: string): boolean {
    if (this.numActive < this.config.maxLoras) return true;
    const adapter = this.#inHost.get(name);
    return adapter !== undefined && adapter.numRunning > 0;
  }

  /** A request with this adapter runs from now on. Returns for how long its first step waits for it. */
  enter(name: string): Ticks {
    const { stats, config } = this;
    let ticks: Ticks = 0;
    let adapter = this.#inHost.get(name);
    if (!adapter) {
      if (this.#inHost.size === config.maxCpuLoras) this.#forget(this.#leastRecent(false));
      adapter = { name, numRunning: 0, onGpu: false, lastCall: 0 };
      this.#inHost.set(name, adapter);
      stats.fetches++;
      ticks += config.fetchTicks;
    }
    if (!adapter.onGpu) {
      if (this.#numOnGpu === config.maxLoras) this.#evict(this.#leastRecent(true));
      adapter.onGpu = true;
      this.#numOnGpu++;
      stats.loads++;
      ticks += config.loadTicks;
    }
    if (adapter.numRunning++ === 0) this.numActive++;
    stats.loadTicks += ticks;
    return ticks;
  }

  /** A request with this adapter needs it no longer; `call` was the last call made. */
  leave(name: string, call: number): void {
    const adapter = this.#inHost.get(name)!;
    if (--adapter.numRunning > 0) return;
    this.numActive--;
    adapter.lastCall = call;
  }

  #leastRecent(onGpu: boolean): Adapter {
    let least: Adapter | undefined;
    for (const adapter of this.#inHost.values()) {
      if (adapter.numRunning > 0 || (onGpu && !adapter.onGpu)) continue;
      if (!least || usedBefore(adapter, least)) least = adapter;
    }
    invariant(least !== undefined, 'fewer adapters run than there are slots');
    return least;
  }

  #evict(adapter: Adapter): void {
    adapter.onGpu = false;
    this.#numOnGpu--;
    this.stats.evictions++;
  }

  #forget(adapter: Adapter): void {
    if (adapter.onGpu) this.#evict(adapter);
    this.#inHost.delete(adapter.name);
    this.stats.cpuEvictions++;
  }
}

const usedBefore = (a: Adapter, b: Adapter): boolean =>
  a.lastCall < b.lastCall || (a.lastCall === b.lastCall && a.name < b.name);
