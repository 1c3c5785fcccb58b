/** What a user may ask of KV tiers, checked where it was written. */

import { ConfigError } from '../core/errors.js';
import type { PoolOptions } from '../core/scenario.js';
import type { FieldName } from './scenario-request.js';

const BACKENDS = ['native', 'lmcache'];

/** @throws {ConfigError} */
export function checkKvTiers(options: PoolOptions, name: FieldName): void {
  const { kvTiers = [], kvOffloadingSize, kvOffloadingBackend, enablePrefixCaching } = options;
  if (kvOffloadingBackend !== undefined) {
    if (!BACKENDS.includes(kvOffloadingBackend)) {
      const got = kvOffloadingBackend;
      throw new ConfigError(name('kv_offloading_backend'), BACKENDS.join(' or '), got);
    }
    if (kvOffloadingSize === undefined) {
      throw new ConfigError(name('kv_offloading_size'), 'GiB beside its backend', undefined);
    }
  }
  if (kvOffloadingSize !== undefined && kvTiers.length > 0) {
    const hint = 'It is short for kv_tiers: [{name: cpu, capacity_gib: …}].';
    throw new ConfigError(
      name('kv_offloading_size'),
      'nothing beside kv_tiers',
      kvOffloadingSize,
      hint,
    );
  }
  if (enablePrefixCaching === false && (kvOffloadingSize !== undefined || kvTiers.length > 0)) {
    const what = 'to be on with KV tiers, which keep what the prefix cache forgets';
    throw new ConfigError(name('enable_prefix_caching'), what, false);
  }
  kvTiers.forEach((tier, i) => {
    const at = (field: string): string => name(`kv_tiers[${i}].${field}`);
    if (tier.name === '' || kvTiers.findIndex((other) => other.name === tier.name) < i) {
      throw new ConfigError(at('name'), 'a name that no other tier has', tier.name);
    }
    above0(at('capacity_gib'), 'GiB, above 0, or inf', tier.capacityGib);
    above0(at('bandwidth_gb_per_s'), 'GB/s, above 0', tier.bandwidthGbPerS);
    above0(at('write_bandwidth_gb_per_s'), 'GB/s, above 0', tier.writeBandwidthGbPerS);
    const { latencyMs = 0 } = tier;
    if (!(latencyMs >= 0 && latencyMs <= 1e6)) {
      throw new ConfigError(at('latency_ms'), 'milliseconds, at least 0', latencyMs);
    }
  });
}

function above0(path: string, expected: string, value: number | undefined): void {
  if (value !== undefined && !(value > 0)) throw new ConfigError(path, expected, value);
}
