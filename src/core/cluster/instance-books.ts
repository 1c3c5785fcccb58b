/** What is told about an instance: how it stands, and what it did. */

import type { InstanceSnapshot } from '../engine.js';
import type { InstanceReport, LoraReport } from '../metrics/report.js';
import type { Adapters } from '../sched/adapters.js';
import { type DurationNs, TICKS_PER_NS, type TimeNs } from '../units.js';
import type { Instance } from './instance.js';

export function snapshotOf(instance: Instance, at: TimeNs): InstanceSnapshot {
  const { kv } = instance;
  return {
    pool: instance.config.pool,
    instance: instance.index,
    at,
    numRunning: instance.numRunning,
    numWaiting: instance.numWaiting,
    numBlocks: kv.capacity,
    freeBlocks: kv.free,
    cachedBlocks: kv.cachedBlocks,
    busy: instance.isBusy,
    ...countsOf(instance),
  };
}

/** Its part of the report of a run that took `durationNs`. */
export function reportOf(instance: Instance, durationNs: DurationNs): InstanceReport {
  const { kv, scheduler, stats } = instance;
  return {
    pool: instance.config.pool,
    instance: instance.index,
    ...stats.summary(durationNs, instance.config.scheduler.blockSize),
    numPreemptions: scheduler.numPreemptions,
    numBlocks: kv.capacity,
    ...(instance.sharesTime && { workNs: stats.workNs + 0 }),
    ...countsOf(instance),
  };
}

/** What only some instances have: drafts, adapters, tiers. */
function countsOf({
  drafts,
  scheduler,
  kv,
}: Instance): Pick<InstanceSnapshot, 'speculation' | 'lora' | 'kvTiers'> {
  const { adapters } = scheduler.set;
  return {
    ...(drafts && { speculation: drafts.counts() }),
    ...(adapters && { lora: loraReport(adapters) }),
    ...(kv.tiers && { kvTiers: kv.tiers.report() }),
  };
}

const loraReport = ({ stats: { loadTicks, ...counts } }: Adapters): LoraReport => ({
  ...counts,
  loadNs: loadTicks / TICKS_PER_NS,
});
