/**
 * How full an instance is: integrals over time of its queue, its running requests and its KV, and the
 * peaks of each. Told whenever time passes, before anything changes.
 */

import type { KvPool } from '../kv/kv-pool.js';
import type { InstanceStats } from '../metrics/instance-stats.js';
import type { Run } from '../sched/run.js';
import type { Scheduler } from '../sched/scheduler.js';
import { TICKS_PER_NS, type Ticks } from '../units.js';

export class Occupancy {
  constructor(
    private readonly stats: InstanceStats,
    private readonly scheduler: Scheduler,
    private readonly kv: KvPool,
  ) {}

  /** Nothing changed for `ticks`, but that each of the `steps` steps of `run` held a token more per decode. */
  elapse(ticks: Ticks, steps: number, run: Run, busy: boolean): void {
    const { stats, scheduler } = this;
    const ns = ticks / TICKS_PER_NS;
    if (busy) stats.busyNs += ns;
    stats.runningTime += scheduler.running.size * ns;
    stats.waitingTime += scheduler.waiting.size * ns;
    stats.residentTime += scheduler.set.residentTokens * ns;
    if (steps > 1) {
      // Σ j · (length of step j).
      const { next, growth } = run;
      const pairs = (steps * (steps - 1)) / 2;
      const squares = ((steps - 1) * steps * (2 * steps - 1)) / 6;
      stats.residentTime +=
        (scheduler.decodes.size * (next * pairs + growth * (squares - pairs))) / TICKS_PER_NS;
    }
  }

  notePeaks(): void {
    const { stats, scheduler, kv } = this;
    const used = kv.capacity - kv.free;
    if (used > stats.peakBlocksUsed) stats.peakBlocksUsed = used;
    if (scheduler.running.size > stats.peakRunning) stats.peakRunning = scheduler.running.size;
    if (scheduler.waiting.size > stats.peakWaiting) stats.peakWaiting = scheduler.waiting.size;
  }
}
