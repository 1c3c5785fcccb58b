/**
 * KV tiers as the engine takes them: how many blocks fit, and how long a block is on its way.
 *
 * Bandwidths are those of all GPUs of an instance together. To host memory each GPU has its own link, as
 * its data sheet says; a remote store is behind one network card of 100 Gb/s unless the user knows better.
 * Times are at these bandwidths: how much of them an engine's copies reach is not modelled.
 */

import type { KvTierConfig } from '../engine.js';
import { hostLinkOf } from '../model/gpu.js';
import type { KvTierOptions, PoolOptions } from '../scenario.js';
import { GIB, NS_PER_MS, NS_PER_S } from '../units.js';
import type { KvCapacity } from './kv-capacity.js';
import type { Deployment } from './layers.js';

const HOST = 'cpu';
/** 100 Gb/s. */
const NETWORK_BYTES_PER_S = 12.5e9;
const NETWORK_LATENCY_MS = 1;

/** The tiers asked for; absent: none. */
export function kvTiersOf(
  { kvTiers = [], kvOffloadingSize }: PoolOptions,
  deployment: Deployment,
  { bytesPerBlock }: KvCapacity,
): KvTierConfig[] | undefined {
  const asked =
    kvOffloadingSize === undefined ? kvTiers : [{ name: HOST, capacityGib: kvOffloadingSize }];
  if (asked.length === 0) return undefined;
  const { tp, pp } = deployment.layout;
  return asked.map((tier) => tierConfig(tier, deployment, bytesPerBlock * tp * pp));
}

function tierConfig(tier: KvTierOptions, d: Deployment, bytesPerBlock: number): KvTierConfig {
  const isHost = tier.name === HOST;
  const links = d.layout.tp * d.layout.pp * hostLinkOf(d.gpu).bytesPerS;
  const own = isHost ? links : NETWORK_BYTES_PER_S;
  const read = tier.bandwidthGbPerS === undefined ? own : tier.bandwidthGbPerS * 1e9;
  const write = tier.writeBandwidthGbPerS === undefined ? read : tier.writeBandwidthGbPerS * 1e9;
  const latencyMs = tier.latencyMs ?? (isHost ? 0 : NETWORK_LATENCY_MS);
  return {
    name: tier.name,
    capacityBlocks: Math.floor((tier.capacityGib * GIB) / bytesPerBlock),
    bytesPerBlock,
    readNsPerBlock: (bytesPerBlock / read) * NS_PER_S,
    writeNsPerBlock: (bytesPerBlock / write) * NS_PER_S,
    latencyNs: latencyMs * NS_PER_MS,
  };
}
