/** `StatusService`: how the live cluster stands, and what can be simulated. */

import { create, equals, type MessageInitShape } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import {
  type ClusterStatus,
  ClusterStatusSchema,
  type HardwareSchema,
  type ModelSchema,
  type StatusService,
} from '../../../gen/llmservingsim/v1/service_pb.js';
import { listHardware } from '../../config/hardware.js';
import { listModels, loadModel } from '../../config/models.js';
import { numParameters } from '../../core/model/model-shape.js';
import { msFromNs } from '../../core/units.js';
import { type Handlers, pause } from '../call.js';
import { invalidField, refuse } from '../errors.js';
import { optionalCounts } from '../messages/instances.js';
import type { LiveTarget, ServedModel } from '../ports.js';

const DEFAULT_INTERVAL_MS = 1000;
const MIN_INTERVAL_MS = 10;

export function statusHandlers(live: LiveTarget | undefined): Handlers<typeof StatusService> {
  // Files that do not change: read when first asked for.
  const allModels = once(() => models(live));
  const allHardware = once(hardware);
  return {
    async getStatus() {
      return { status: statusOf(live) };
    },
    async *watchStatus({ intervalMs, onlyChanges }, { signal }) {
      const interval = intervalMs || DEFAULT_INTERVAL_MS;
      if (!(interval >= MIN_INTERVAL_MS && interval < Infinity)) {
        throw invalidField('interval_ms', `milliseconds, at least ${MIN_INTERVAL_MS}`, intervalMs);
      }
      let last: ClusterStatus | undefined;
      for (;;) {
        const status = statusOf(live);
        if (!(onlyChanges && last && sameState(last, status))) yield { status };
        last = status;
        await pause(interval, signal);
      }
    },
    async listModels() {
      return { models: allModels() };
    },
    async listHardware() {
      return { hardware: allHardware() };
    },
  };
}

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** @throws {ConnectError} FAILED_PRECONDITION when nothing is live. */
export function statusOf(live: LiveTarget | undefined): ClusterStatus {
  if (!live) {
    throw refuse({
      code: Code.FailedPrecondition,
      reason: 'nothing_served',
      message: 'This server only simulates: it has no live cluster.',
    });
  }
  const clusters = [...new Map(live.models.map((model) => [model.cluster, model])).values()];
  const parts = clusters.map(partOf);
  const sum = (of: (part: (typeof parts)[number]) => number) =>
    parts.reduce((total, part) => total + of(part), 0);
  const total = sum(({ totalBytes }) => totalBytes);
  const used = sum(({ usedBytes }) => usedBytes);
  return create(ClusterStatusSchema, {
    atMs: Math.max(...parts.map(({ atMs }) => atMs)),
    pendingRequests: sum(({ waiting }) => waiting),
    runningRequests: sum(({ running }) => running),
    inflightBatches: sum(({ busy }) => busy),
    completedRequests: sum(({ counts }) => counts.completed),
    abortedRequests: sum(({ counts }) => counts.aborted),
    memoryUsage: { total, used, available: total - used },
    lagMs: Math.max(...parts.map(({ lagMs }) => lagMs)),
    instances: parts.flatMap(({ instances }) => instances),
    draining: live.refusal?.() !== undefined,
  });
}

function partOf({ id, cluster, pools }: ServedModel) {
  const snapshots = cluster.snapshot();
  const count = (of: (snapshot: (typeof snapshots)[number]) => number) =>
    snapshots.reduce((total, snapshot) => total + of(snapshot), 0);
  const blockBytes = (index: number) => {
    const pool = pools[index];
    return pool ? (pool.kv.bytesPerBlock * pool.numGpus) / pool.numRanks : 0;
  };
  return {
    atMs: msFromNs(cluster.now),
    waiting: count(({ numWaiting }) => numWaiting),
    running: count(({ numRunning }) => numRunning),
    busy: count(({ busy }) => (busy ? 1 : 0)),
    counts: cluster.counts,
    totalBytes: count(({ numBlocks, pool }) => numBlocks * blockBytes(pool)),
    usedBytes: count((s) => (s.numBlocks - s.freeBlocks) * blockBytes(s.pool)),
    lagMs: cluster.lag.ms.mean,
    instances: snapshots.map(({ at, busy, speculation, lora, kvTiers, ...state }) => ({
      ...state,
      model: id,
      ...optionalCounts({ speculation, lora, kvTiers }),
    })),
  };
}

/** Whether two states differ in nothing but time. */
const sameState = (a: ClusterStatus, b: ClusterStatus): boolean =>
  equals(ClusterStatusSchema, { ...a, atMs: b.atMs, lagMs: b.lagMs }, b);

function models(live: LiveTarget | undefined): MessageInitShape<typeof ModelSchema>[] {
  const served = live?.models ?? [];
  const known = listModels();
  const rows = known.map((name) => {
    const shape = loadModel(name);
    const live = served.find(({ id }) => id === name);
    return {
      name,
      numParameters: numParameters(shape),
      maxModelLen: live?.maxModelLen ?? shape.maxPositionEmbeddings,
      served: live !== undefined,
    };
  });
  const others = served
    .filter(({ id }) => !known.includes(id))
    .map(({ id, maxModelLen, pools }) => ({
      name: id,
      numParameters: pools[0] ? numParameters(pools[0].spec.model) : 0,
      maxModelLen,
      served: true,
    }));
  return [...others, ...rows];
}

const hardware = (): MessageInitShape<typeof HardwareSchema>[] =>
  listHardware().map((gpu) => ({
    name: gpu.name,
    memoryBytes: gpu.memoryBytes,
    memoryBytesPerS: gpu.memoryBytesPerS,
    peak16bitFlopsPerS: gpu.peak.bf16 ?? gpu.peak.fp16,
    source: gpu.source,
  }));
