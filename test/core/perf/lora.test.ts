import { describe, expect, it } from 'vitest';
import { explainStep } from '../../../src/core/perf/explain.js';
import { adapterBytes, loraOperators } from '../../../src/core/perf/lora.js';
import { stepSeconds } from '../../../src/core/perf/step-cost.js';
import { TICKS_PER_NS } from '../../../src/core/units.js';
import { batch, pool } from './support.js';

const LLAMA = { model: 'meta-llama/Llama-3.1-8B-Instruct', hardware: 'A100' };
const plain = pool(LLAMA);
const adapted = (options = {}) => pool({ ...LLAMA, options: { enableLora: true, ...options } });

/** Rank 16: 16 · (3·4096 + 6144 + 2·4096 + 2·4096 + 28672 + 14336 + 4096) weights a layer. */
const ADAPTER_BYTES = 32 * 16 * 81_920 * 2;

describe('LoRA adapters', () => {
  it('take the memory of their slots from the KV cache', () => {
    expect(adapterBytes(plain.deployment, 16)).toBe(ADAPTER_BYTES);
    const { kv } = adapted({ maxLoras: 4 });
    expect(kv.loraBytes).toBe(4 * ADAPTER_BYTES);
    expect(plain.kv.kvBytes - kv.kvBytes).toBe(4 * ADAPTER_BYTES);
  });

  it('come over the link to the host, and before that from disk', () => {
    const { scheduler } = adapted();
    const seconds = (ticks: number) => ticks / TICKS_PER_NS / 1e9;
    expect(scheduler.lora).toMatchObject({ maxLoras: 1, maxCpuLoras: 1 });
    expect(seconds(scheduler.lora!.loadTicks)).toBeCloseTo(ADAPTER_BYTES / 32e9, 9);
    expect(seconds(scheduler.lora!.fetchTicks)).toBeCloseTo(ADAPTER_BYTES / 3e9, 9);
  });

  it('of two GPUs load half as long where the matrices are sliced, and are read from disk whole', () => {
    const one = adapted().scheduler.lora!;
    const two = adapted({ tensorParallelSize: 2 }).scheduler.lora!;
    expect(two.fetchTicks).toBe(one.fetchTicks);
    // A of QKV, gate and up is on each GPU; B of the other projections is too.
    const sliced = 6144 + 4096 + 28_672 + 14_336;
    expect(two.loadTicks / one.loadTicks).toBeCloseTo(1 - sliced / 2 / 81_920, 6);
  });

  it('cost nothing in a step without them, and time for each token and each adapter with them', () => {
    const { cost } = adapted({ maxLoras: 8 });
    const shape = batch({ numDecodes: 64, context: 1000 });
    const seconds = (loraTokens: number, numAdapters: number) =>
      stepSeconds(cost, { ...shape, loraTokens, numAdapters });
    expect(seconds(0, 0)).toBe(stepSeconds(plain.cost, shape));
    expect(seconds(32, 1)).toBeGreaterThan(seconds(0, 0));
    expect(seconds(64, 8)).toBeGreaterThan(seconds(64, 1));
    expect(seconds(4096, 8)).toBeGreaterThan(seconds(64, 8));
  });

  it('are never faster than FLOP/peak and bytes/bandwidth, and add up to what a step costs more', () => {
    const { deployment, cost } = adapted({ maxLoras: 8, maxLoraRank: 64 });
    for (const [tokens, adapters] of [
      [1, 1],
      [64, 8],
      [8192, 3],
    ] as const) {
      for (const op of loraOperators(deployment, tokens, adapters)) {
        const { peak } = deployment.precision.plain;
        expect(op.seconds).toBeGreaterThanOrEqual(op.flop / peak);
        expect(op.seconds).toBeGreaterThanOrEqual(op.bytes / deployment.gpu.memoryBytesPerS);
      }
    }
    const shape = { ...batch({ numDecodes: 64, context: 1000 }), loraTokens: 64, numAdapters: 8 };
    const { rows, seconds } = explainStep({ deployment, cost }, shape);
    expect(rows.reduce((sum, row) => sum + row.seconds, 0)).toBeCloseTo(seconds, 6);
  });

  it('refuses what no engine would start', () => {
    expect(() => adapted({ maxLoras: 4, maxCpuLoras: 2 })).toThrow(
      '--max-cpu-loras: expected at least --max-loras, 4, got 2',
    );
    expect(() => adapted({ maxLoraRank: 12 })).toThrow('--max-lora-rank: expected one of 1, 8');
    expect(() => adapted({ enableLora: false, maxLoras: 4 })).toThrow('--enable-lora');
  });
});
