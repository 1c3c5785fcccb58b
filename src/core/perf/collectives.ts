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

/** `linkBytes` at `bytesPerS`, after a latency. */
function path(
  linkBytes: Bytes,
  bytesPerS: number,
  latency: Seconds,
  softness: number,
  constants: readonly string[],
): Path {
  const transfer = linkBytes / bytesPerS;
  return { linkBytes, seconds: softMax(latency, transfer, softness), transfer, constants };
}

/** Engines write to their peers directly while messages are small, and leave large ones to NCCL. */
function fastest(k: Kernels, linkBytes: Bytes, ranks: number): Path {
  const { gpu, efficiency: e } = k;
  if (!linksDirectly(gpu, ranks)) return overPcie(k, linkBytes, ranks);
  const further = Math.max(0, ranks - 2);
  const rate = rateAmong(gpu, ranks);
  const direct = e.allReduceSeconds + e.allReduceSecondsPerRank * further;
  const nccl = e.ncclSeconds + e.ncclSecondsPerRank * further;
  const small = path(linkBytes, rate * e.linkFraction, direct, e.linkSoftness, DIRECT);
  const large = path(linkBytes, rate * e.ncclLinkFraction, nccl, e.ncclSoftness, NCCL);
  return small.seconds < large.seconds ? small : large;
}

/** Bytes per second of a GPU. In a mesh, wires to GPUs that take no part lie idle. */
function rateAmong({ link: { bytesPerS, meshPeers = 1 } }: GpuSpec, ranks: number): number {
  return bytesPerS * Math.min(1, (ranks - 1) / meshPeers);
}

/**
 * NCCL's ring where GPUs have no links of their own, or more take part than are linked. Boards that cannot write to a peer
 * write to the host's memory, and the peer reads it there: twice the way.
 */
function overPcie({ gpu, efficiency: e }: Kernels, linkBytes: Bytes, ranks: number): Path {
  const ways = gpu.link.peerToPeer === false ? 2 : 1;
  const pcie = gpu.link.kind === 'nvlink-pair' ? hostLinkOf(gpu).bytesPerS : rateAmong(gpu, ranks);
  const latency = ways * 2 * (ranks - 1) * e.pcieHopSeconds;
  return path(linkBytes, (pcie * e.pcieLinkFraction) / ways, latency, e.pcieSoftness, PCIE);
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
  const rate = gpu.link.bytesPerS * e.switchLinkFraction;
  return path(bytes, rate, e.switchSeconds, e.ncclSoftness, SWITCH);
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
