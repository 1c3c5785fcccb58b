import { describe, expect, it } from 'vitest';
import { scenarioFromData } from '../../src/config/scenario-file.js';
import { poolField, requestFromProto } from '../../src/config/scenario-from-proto.js';
import { poolFromRequest } from '../../src/config/scenario-request.js';
import { pool } from '../core/perf/support.js';

const LLAMA = { model: 'meta-llama/Llama-3.1-8B-Instruct', hardware: 'A100' };
/** 2 · 8 heads · 128 · 2 bytes in 32 layers, for 16 tokens. */
const BLOCK_BYTES = 16 * 131_072;

const optionsOf = (fields: object) => {
  const data = { pools: [{ ...LLAMA, ...fields }] };
  const request = requestFromProto(scenarioFromData(data, 'tiers.yaml'), 'tiers.yaml');
  const noFiles = () => expect.unreachable('nothing is drafted');
  return poolFromRequest(request.pools[0]!, poolField('tiers.yaml', 0), noFiles).options;
};
const tiersOf = (fields: object) =>
  pool({ ...LLAMA, options: { ...optionsOf(fields), enablePrefixCaching: true } }).scheduler
    .kvTiers;

describe('KV tiers of a scenario', () => {
  it('take the links of the data sheet, or a network, where nothing is said', () => {
    const kv_tiers = [
      { name: 'cpu', capacity_gib: 1 },
      { name: 'remote', capacity_gib: 'inf' },
    ];
    const tiers = tiersOf({ kv_tiers })!;
    expect(tiers).toMatchObject([
      { name: 'cpu', capacityBlocks: 512, bytesPerBlock: BLOCK_BYTES, latencyNs: 0 },
      { name: 'remote', capacityBlocks: Infinity, latencyNs: 1e6 },
    ]);
    expect(tiers[0]!.readNsPerBlock).toBeCloseTo((BLOCK_BYTES / 32e9) * 1e9, 6);
    expect(tiers[1]!.writeNsPerBlock).toBeCloseTo((BLOCK_BYTES / 12.5e9) * 1e9, 6);
  });

  it('take what is said', () => {
    const tier = { name: 'cpu', capacity_gib: 1, bandwidth_gb_per_s: 20, latency_ms: 0.5 };
    const [cpu] = tiersOf({ kv_tiers: [{ ...tier, write_bandwidth_gb_per_s: 10 }] })!;
    expect(cpu!.readNsPerBlock).toBeCloseTo(BLOCK_BYTES / 20, 6);
    expect(cpu!.writeNsPerBlock).toBeCloseTo(BLOCK_BYTES / 10, 6);
    expect(cpu!.latencyNs).toBe(5e5);
  });

  it('are one of host memory for short, over all ranks of tensor parallelism', () => {
    const options = { kv_offloading_size: 1, tensor_parallel_size: 2 };
    const [cpu] = tiersOf({ options })!;
    expect(cpu).toMatchObject({ name: 'cpu', capacityBlocks: 512, bytesPerBlock: BLOCK_BYTES });
    // Each GPU reads its half over its own link.
    expect(cpu!.readNsPerBlock).toBeCloseTo((BLOCK_BYTES / 64e9) * 1e9, 6);
  });

  it('are refused by file and field', () => {
    const at = 'tiers.yaml: pools[0].';
    const refused = (fields: object) => () => optionsOf(fields);
    const cpu = { name: 'cpu', capacity_gib: 1 };
    expect(refused({ kv_tiers: [{ name: 'cpu' }] })).toThrow(
      `${at}kv_tiers[0].capacity_gib: expected GiB, above 0, or inf, got 0`,
    );
    expect(refused({ kv_tiers: [cpu, cpu] })).toThrow(`${at}kv_tiers[1].name: expected a name`);
    expect(refused({ kv_tiers: [{ ...cpu, latency_ms: -1 }] })).toThrow(
      `${at}kv_tiers[0].latency_ms`,
    );
    expect(refused({ kv_tiers: [cpu], options: { kv_offloading_size: 1 } })).toThrow(
      `${at}options.kv_offloading_size: expected nothing beside kv_tiers, got 1`,
    );
    expect(refused({ kv_tiers: [cpu], options: { enable_prefix_caching: false } })).toThrow(
      `${at}options.enable_prefix_caching`,
    );
    expect(refused({ options: { kv_offloading_backend: 'native' } })).toThrow(
      `${at}options.kv_offloading_size`,
    );
  });
});
