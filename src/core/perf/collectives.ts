/**
 * Collectives between the GPUs of an instance.
 *
 * One form for one-shot and ring regimes: latency and transfer joined by a soft corner below 1, which
 * is what tables of the custom all-reduce kernel show between 8 KB and 64 MB. A ring moves
 * 2·(n−1)/n of the message per GPU; gathering moves (n−1)/n.
 */

import type { Bytes, Seconds } from '../units.js';
import { type Kernels, type Operator, softMax } from './operator.js';

/** All-reduce of `bytes` over `ranks` GPUs. */
export function allReduce(
  k: Kernels,
  name: string,
  count: number,
  bytes: Bytes,
  ranks: number,
): Operator {
  return collective(k, name, count, (2 * (ranks - 1) * bytes) / ranks, ranks);
}

/** Every rank ends with all of `bytes` (gather), or sends each peer its part (all-to-all). */
export function exchange(
  k: Kernels,
  name: string,
  count: number,
  bytes: Bytes,
  ranks: number,
): Operator {
  return collective(k, name, count, ((ranks - 1) * bytes) / ranks, ranks);
}

/** From one stage of a pipeline to the next. */
export const send = (k: Kernels, name: string, count: number, bytes: Bytes): Operator =>
  collective(k, name, count, bytes, 2);

function collective(
  k: Kernels,
  name: string,
  count: number,
  linkBytes: Bytes,
  ranks: number,
): Operator {
  const direct =
    k.gpu.link.kind === 'nvlink' ||
    k.gpu.link.kind === 'infinity-fabric' ||
    (k.gpu.link.kind === 'nvlink-pair' && ranks <= 2);
  const { alpha, fraction } = linkConstants(k, ranks, direct);
  const transfer = linkBytes / (k.gpu.link.bytesPerS * fraction);
  return {
    name,
    count,
    flop: 0,
    bytes: 0,
    linkBytes,
    seconds: softMax(alpha, transfer, k.efficiency.linkSoftness),
    bound: transfer > alpha ? 'link' : 'latency',
    peak: 0,
    constants: direct
      ? ['all_reduce_seconds', 'all_reduce_seconds_per_rank', 'link_fraction', 'link_softness']
      : ['pcie_all_reduce_seconds', 'pcie_link_fraction', 'link_softness'],
  };
}

function linkConstants(
  k: Kernels,
  ranks: number,
  direct: boolean,
): { alpha: Seconds; fraction: number } {
  const e = k.efficiency;
  const perRank = e.allReduceSecondsPerRank * Math.max(0, ranks - 2);
  return direct
    ? { alpha: e.allReduceSeconds + perRank, fraction: e.linkFraction }
    : { alpha: e.pcieAllReduceSeconds + perRank, fraction: e.pcieLinkFraction };
}
