/** `GET /status`: one status over all clusters of a server. */

import type { Served } from './served.js';

export function liveStatus(served: readonly Served[], draining: boolean): object {
  const clusters = served.map(statusOf);
  const sum = (of: (status: (typeof clusters)[number]) => number) =>
    clusters.reduce((total, status) => total + of(status), 0);
  const total = sum(({ memory }) => memory.total);
  const used = sum(({ memory }) => memory.used);
  return {
    pending_requests: sum(({ pending }) => pending),
    inflight_batches: sum(({ inFlight }) => inFlight),
    completed_requests: sum(({ completed }) => completed),
    memory_usage: { total, used, available: total - used },
    running_requests: sum(({ running }) => running),
    aborted_requests: sum(({ aborted }) => aborted),
    lag_ms: Math.max(...clusters.map(({ lag }) => lag.mean)),
    max_lag_ms: Math.max(...clusters.map(({ lag }) => lag.max)),
    draining,
    models: clusters.map(({ name, instances }) => ({ name, instances })),
  };
}

function statusOf({ name, cluster, pools }: Served) {
  const snapshots = cluster.snapshot();
  const bytesOf = (pool: number) => pools[pool]!.kv.bytesPerBlock * pools[pool]!.numGpus;
  const { completed, aborted } = cluster.counts;
  return {
    name,
    completed,
    aborted,
    lag: cluster.lag.ms,
    pending: snapshots.reduce((sum, { numWaiting }) => sum + numWaiting, 0),
    running: snapshots.reduce((sum, { numRunning }) => sum + numRunning, 0),
    inFlight: snapshots.filter(({ busy }) => busy).length,
    memory: {
      total: snapshots.reduce((sum, s) => sum + s.numBlocks * bytesOf(s.pool), 0),
      used: snapshots.reduce((sum, s) => sum + (s.numBlocks - s.freeBlocks) * bytesOf(s.pool), 0),
    },
    instances: snapshots.map((snapshot) => ({
      instance: snapshot.instance,
      num_running: snapshot.numRunning,
      num_waiting: snapshot.numWaiting,
      num_blocks: snapshot.numBlocks,
      free_blocks: snapshot.freeBlocks,
      cached_blocks: snapshot.cachedBlocks,
    })),
  };
}
