import { describe, expect, it } from 'vitest';
import { allReduce, exchange } from '../../../src/core/perf/collectives.js';
import { pool } from './support.js';

const MB = 2 ** 20;

const kernelsOf = (hardware: string, engine: string) =>
  pool({
    model: 'meta-llama/Llama-3.1-70B-Instruct',
    hardware,
    engine,
    options: { tensorParallelSize: 8 },
  }).deployment;

describe('All-reduce', () => {
  const hopper = kernelsOf('H100', 'trtllm');

  it('is left to the switch where it is large and there are more than four ranks', () => {
    const large = allReduce(hopper, 'sum', 1, 128 * MB, 8);
    expect(large.linkBytes).toBe(128 * MB);
    expect(large.constants).toContain('switch_link_fraction');
    expect(allReduce(hopper, 'sum', 1, 128 * MB, 4).linkBytes).toBe(1.5 * 128 * MB);
    expect(allReduce(hopper, 'sum', 1, MB / 4, 8).linkBytes).toBe((1.75 * MB) / 4);
  });

  it.each([
    [16, 122e-6],
    [64, 322e-6],
    [128, 578e-6],
    [512, 2112e-6],
  ])('of %i MB takes 8 H100 what NCCL 2.27 takes, within a sixth', (megabytes, measured) => {
    const { seconds } = allReduce(hopper, 'sum', 1, megabytes * MB, 8);
    expect(Math.abs(Math.log(seconds / measured))).toBeLessThan(1 / 6);
  });

  it('goes around the ring where the switch only forwards, or the engine does not ask it', () => {
    for (const kernels of [kernelsOf('A100', 'trtllm'), kernelsOf('H100', 'vllm-0.9')]) {
      expect(allReduce(kernels, 'sum', 1, 128 * MB, 8).linkBytes).toBe(1.75 * 128 * MB);
    }
  });

  it('uses of a mesh the wires between its ranks', () => {
    const mesh = kernelsOf('MI300X', 'vllm');
    const large = (ranks: number) => allReduce(mesh, 'sum', 1, 65_536 * MB, ranks).seconds;
    // Per rank 2·(n−1)/n of the message over (n−1)/7 of the wires: 7 messages for two ranks, 1.75 for eight.
    expect(large(2) / large(8)).toBeCloseTo(4, 1);
  });

  it.each([
    ['A100-PCIe', 2.982, 254e-6],
    ['A100-PCIe', 15.2, 1003e-6],
    ['A100-PCIe', 133, 8441e-6],
    ['H100-PCIe', 2.2, 116e-6],
    ['H100-PCIe', 15.7, 526e-6],
    ['H100-PCIe', 67, 2063e-6],
  ])('on four %s of %f MB takes what NCCL takes, within an eighth', (gpu, megabytes, measured) => {
    const { seconds } = allReduce(kernelsOf(gpu, 'vllm'), 'sum', 1, megabytes * 1e6, 4);
    expect(Math.abs(Math.log(seconds / measured))).toBeLessThan(1 / 8);
  });

  it('goes by the memory of the host where a board cannot write to another, and past a bridge of two', () => {
    const seconds = (gpu: string, ranks: number) =>
      allReduce(kernelsOf(gpu, 'vllm'), 'sum', 1, 64 * MB, ranks).seconds;
    expect(seconds('RTX4090', 4) / seconds('L40S', 4)).toBeCloseTo(2, 1);
    expect(seconds('A40', 4)).toBeCloseTo(seconds('L40S', 4), 6);
    expect(seconds('A40', 2)).toBeLessThan(seconds('L40S', 2));
  });

  it('alone is summed by the switch: gathering moves what every rank lacks', () => {
    expect(exchange(hopper, 'gather', 1, 128 * MB, 8).linkBytes).toBe((7 / 8) * 128 * MB);
  });
});
