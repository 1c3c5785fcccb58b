/**
 * Collectives between the GPUs of an instance.
 *
 * One form for one-shot and ring regimes: latency and transfer joined by a soft corner below 1, which
 * is what tables of the custom all-reduce kernel show between 8 KB and 64 MB. A ring moves
 * 2·(n−1)/n of the message per GPU; gathering moves (n−1)/n. A switch that adds up what passes
 * through it (NVLink SHARP) takes the message once from every GPU and hands the sum back. Where GPUs are
 * wired to each other instead (Infinity Fabric), few ranks use few of their wires.
 */

import { type GpuSpec, hostLinkOf } from '../model/gpu.js';
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
  const ring = fastest(k, (2 * (ranks - 1) * bytes) / ranks, ranks);
  const inSwitch = throughSwitch(k, bytes, ranks);
  const path = inSwitch && inSwitch.seconds < ring.seconds ? inSwitch : ring;
  // A sum is over when the last rank has come: ranks of a step are not as even as those of a table.
  const seconds = path.seconds + k.efficiency.barrierSeconds;
  const constants = [...path.constants, 'barrier_seconds'];
  return operatorOf({ ...path, seconds, constants }, name, count);
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
  return operatorOf(fastest(k, linkBytes, ranks), name, count);
}

function operatorOf(path: Path, name: string, count: number): Operator {
  const { seconds, transfer, linkBytes, constants } = path;
  const bound = transfer > seconds / 2 ? 'link' : 'latency';
  return { name, count, flop: 0, bytes: 0, linkBytes, seconds, bound, peak: 0, constants };
}

interface Path {
  /** What leaves a GPU, and what reaches it. */
  readonly linkBytes: Bytes;
  readonly seconds: Seconds;
  /** Of them, moving bytes. */
  readonly transfer: Seconds;
  readonly constants: readonly string[];
}

/** Engines write to their peers directly while messages are small, and leave large ones to NCCL. */
function fastest({ gpu, efficiency: e }: Kernels, linkBytes: Bytes, ranks: number): Path {
  const further = Math.max(0, ranks - 2);
  const { bytesPerS: all, meshPeers = 1 } = gpu.link;
  // In a mesh, wires to GPUs that take no part lie idle.
  const bytesPerS = all * Math.min(1, (ranks - 1) / meshPeers);
  const path = (alpha: Seconds, fraction: number, softness: number, constants: string[]): Path => {
    const transfer = linkBytes / (bytesPerS * fraction);
    return { linkBytes, seconds: softMax(alpha, transfer, softness), transfer, constants };
  };
  if (!linksDirectly(gpu, ranks))
    return overPcie({ gpu, efficiency: e }, linkBytes, ranks, bytesPerS);
  const nccl = e.ncclSeconds + e.ncclSecondsPerRank * further;
  const direct = e.allReduceSeconds + e.allReduceSecondsPerRank * further;
  const small = path(direct, e.linkFraction, e.linkSoftness, DIRECT);
  const large = path(nccl, e.ncclLinkFraction, e.ncclSoftness, NCCL);
  return small.seconds < large.seconds ? small : large;
}

/**
 * NCCL's ring where GPUs have no links of their own, or more take part than are linked. Boards that cannot write to a peer
 * write to the host's memory, and the peer reads it there: twice the way.
 */
function overPcie(
  { gpu, efficiency: e }: Kernels,
  linkBytes: Bytes,
  ranks: number,
  bytesPerS: number,
): Path {
  const ways = gpu.link.peerToPeer === false ? 2 : 1;
  const pcie = gpu.link.kind === 'nvlink-pair' ? hostLinkOf(gpu).bytesPerS : bytesPerS;
  const hops = 2 * (ranks - 1);
  const transfer = (ways * linkBytes) / (pcie * e.pcieLinkFraction);
  const seconds = softMax(ways * hops * e.pcieHopSeconds, transfer, e.pcieSoftness);
  return { linkBytes, seconds, transfer, constants: PCIE };
}

/** NCCL leaves sums to the switch from this many ranks on (tables of NCCL 2.27 on H100: with 8, not with 4). */
const SWITCH_RANKS = 5;

/** Sums made by the switch, where hardware and the engine's libraries do that. */
function throughSwitch(
  { gpu, efficiency: e }: Kernels,
  bytes: Bytes,
  ranks: number,
): Path | undefined {
  if (e.switchLinkFraction === 0 || ranks < SWITCH_RANKS || gpu.link.kind !== 'nvlink')
    return undefined;
  const transfer = bytes / (gpu.link.bytesPerS * e.switchLinkFraction);
  const seconds = softMax(e.switchSeconds, transfer, e.ncclSoftness);
  return { linkBytes: bytes, seconds, transfer, constants: SWITCH };
}

const SWITCH = ['switch_seconds', 'switch_link_fraction'];
const DIRECT = ['all_reduce_seconds', 'all_reduce_seconds_per_rank', 'link_fraction'];
const NCCL = ['nccl_seconds', 'nccl_seconds_per_rank', 'nccl_link_fraction'];
const PCIE = ['pcie_hop_seconds', 'pcie_link_fraction', 'pcie_softness'];

/** Whether `ranks` GPUs of this kind reach each other without the host: bridges join pairs. */
export const linksDirectly = ({ link }: GpuSpec, ranks: number): boolean =>
  link.kind === 'nvlink' ||
  link.kind === 'infinity-fabric' ||
  (link.kind === 'nvlink-pair' && ranks <= 2);
