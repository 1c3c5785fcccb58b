import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../../src/core/errors.js';
import { stepSeconds } from '../../../src/core/perf/step-cost.js';
import { GIB } from '../../../src/core/units.js';
import { batch, pool } from './support.js';

const LLAMA_8B = 'meta-llama/Llama-3.1-8B-Instruct';
const LLAMA_70B = 'meta-llama/Llama-3.1-70B-Instruct';

describe('Resolved pool', () => {
  it('sizes the KV pool from memory, utilisation, weights and activations', () => {
    const { kv, scheduler } = pool({ model: LLAMA_8B, hardware: 'H100' });
    expect(kv.bytesPerToken).toBe(2 * 32 * 8 * 128 * 2);
    expect(kv.weightBytes).toBe(2 * 8_030_261_248);
    const used = kv.weightBytes + kv.activationBytes + kv.nonTorchBytes + kv.kvBytes;
    expect(used).toBeCloseTo(80 * GIB * 0.9, -1);
    expect(scheduler.numGpuBlocks).toBe(Math.floor(kv.kvBytes / (131_072 * 16)));
  });

  it("gives TensorRT-LLM's C++ runtime buffers for every sequence and token that may come", () => {
    const buffers = (maxNumSeqs: number, maxNumBatchedTokens: number): number =>
      pool({
        model: LLAMA_70B,
        hardware: 'H100',
        engine: 'trtllm-0.14',
        options: { tensorParallelSize: 8, maxNumSeqs, maxNumBatchedTokens },
      }).kv.activationBytes;
    const vocabulary = 128_256;
    expect(buffers(8192, 2048) - buffers(2048, 2048)).toBe(6144 * vocabulary * 32);
    const perToken = (4 * 8192 + (2 * 28_672) / 8) * 2;
    expect(buffers(64, 8192) - buffers(64, 2048)).toBe(6144 * 8 * perToken);
  });

  it('stops dividing KV where heads are replicated', () => {
    const at = (tensorParallelSize: number) =>
      pool({ model: LLAMA_70B, hardware: 'H200', options: { tensorParallelSize } }).kv
        .bytesPerToken;
    expect(at(8)).toBe(2 * 80 * 1 * 128 * 2);
    expect(at(16)).toBe(at(8));
  });

  it('keeps the latent of MLA whole on every rank', () => {
    const { kv } = pool({
      model: 'deepseek-ai/DeepSeek-V3',
      hardware: 'H200',
      options: { tensorParallelSize: 8 },
    });
    expect(kv.bytesPerToken).toBe(61 * 576 * 2);
  });

  it('leaves attention in 16 bits where the checkpoint does', () => {
    const bytes = (quantization: string) =>
      pool({
        model: 'meta-llama/Llama-3.1-405B-Instruct',
        hardware: 'MI300X',
        options: { quantization, tensorParallelSize: 8 },
      }).kv.weightBytes;
    const attention = 126 * 2 * 16_384 * (16_384 + 8 * 128);
    expect(bytes('fbgemm_fp8') - bytes('fp8')).toBe(attention / 8);
  });

  it('keeps the whole context of layers with a window where the engine does', () => {
    const at = (engine: string) => pool({ model: 'openai/gpt-oss-120b', hardware: 'H200', engine });
    const perLayer = 2 * 8 * 64 * 2;
    expect(at('trtllm').kv.bytesPerToken).toBe(36 * perLayer);
    expect(at('vllm').kv.bytesPerToken).toBe((18 + (18 * 128) / 4096) * perLayer);
    expect(at('trtllm').notes.join()).toContain('whole context of layers with a window');
  });

  it("takes the engine's defaults by version and GPU memory", () => {
    const large = pool({ model: LLAMA_8B, hardware: 'H100' }).scheduler;
    const small = pool({ model: LLAMA_8B, hardware: 'A100' }).scheduler;
    expect([large.maxNumBatchedTokens, small.maxNumBatchedTokens]).toEqual([8192, 2048]);
    expect(large.asyncScheduling).toBe(true);
    expect(
      pool({ model: LLAMA_8B, hardware: 'H100', engine: 'vllm-0.9' }).scheduler.asyncScheduling,
    ).toBe(false);
    expect(
      pool({ model: LLAMA_8B, hardware: 'H100', engine: 'vllm-0.6.3' }).scheduler
        .enableChunkedPrefill,
    ).toBe(false);
  });

  it('lowers the context window to what the pool holds, and says so', () => {
    const { scheduler, notes, kv } = pool({ model: LLAMA_8B, hardware: 'RTX4090' });
    expect(scheduler.maxModelLen).toBe((kv.numBlocks - 1) * 16);
    expect(notes.join()).toContain('max-model-len lowered');
  });

  it('uses fp16 where there is no bf16, and says so', () => {
    const { deployment, notes } = pool({ model: LLAMA_8B, hardware: 'V100' });
    expect(deployment.precision.dtype).toBe('float16');
    expect(notes).toContain('V100 has no bfloat16: float16 is used');
  });

  it('unpacks weights where the GPU cannot multiply them', () => {
    const fp8 = (hardware: string) =>
      pool({ model: LLAMA_8B, hardware, options: { quantization: 'fp8' } });
    expect(fp8('H100').deployment.precision.linear.peak).toBe(1978.9e12);
    expect(fp8('A100').deployment.precision.linear.peak).toBe(312e12);
    expect(fp8('A100').deployment.precision.linear.bytesPerWeight).toBe(1);
    expect(fp8('A100').notes.join()).toContain('unpacked');
  });

  it('leaves attention of nvfp4 checkpoints in 16 bits where there are experts', () => {
    const bytes = (model: string) => {
      const { kv, deployment } = pool({
        model,
        hardware: 'B200',
        options: { quantization: 'nvfp4', tensorParallelSize: 8 },
      });
      return [deployment.precision.attention.bytesPerWeight, (kv.weightBytes * 8) / 1e9] as const;
    };
    const [attention, gigabytes] = bytes('deepseek-ai/DeepSeek-R1');
    expect(attention).toBe(2);
    // The page of nvidia/DeepSeek-R1-FP4 counts 397 billion elements, two weights of 4 bits or one of 16 in each,
    // and a scale for 16: 658 and 27 billion weights, 14 of them of the MTP layer, which is not loaded.
    expect(gigabytes).toBeGreaterThan(390);
    expect(gigabytes).toBeLessThan(405);
    expect(bytes(LLAMA_70B)[0]).toBe(4.5 / 8);
  });

  it('multiplies checkpoints in blocks by kernels of their own, whatever fp8 is asked for', () => {
    const linear = (model: string) =>
      pool({ model, hardware: 'H200', options: { quantization: 'fp8', tensorParallelSize: 8 } })
        .deployment.precision;
    const blocks = linear('deepseek-ai/DeepSeek-V3');
    expect(blocks.quantization).toBe('fp8_block');
    expect(linear(LLAMA_70B).quantization).toBe('fp8');
    const { efficiency } = pool({ model: LLAMA_8B, hardware: 'H200' }).deployment;
    expect(blocks.linear.compute).toBe(efficiency.gemmComputeBlock8);
    expect(linear(LLAMA_70B).linear.compute).toBe(efficiency.gemmCompute8);
  });

  it('keeps what a checkpoint leaves in 16 bits: all but the experts of Kimi K2.5', () => {
    const { precision } = pool({
      model: 'moonshotai/Kimi-K2.5',
      hardware: 'B200',
      options: { tensorParallelSize: 8 },
    }).deployment;
    expect(precision.experts.bytesPerWeight).toBe(4.5 / 8);
    expect(precision.linear.bytesPerWeight).toBe(2);
    expect(precision.attention.bytesPerWeight).toBe(2);
    expect(() =>
      pool({ model: LLAMA_8B, hardware: 'H100', options: { quantization: 'int4-experts' } }),
    ).toThrow(/--quantization: expected a model with experts for int4-experts/);
  });

  it('converts an fp8 cache in software where the GPU has no fp8, and says so', () => {
    const at = (hardware: string, kvCacheDtype: string) =>
      pool({ model: LLAMA_8B, hardware, options: { kvCacheDtype } });
    const decodes = batch({ numDecodes: 64, context: 1500 });
    const seconds = (hardware: string, dtype: string) =>
      stepSeconds(at(hardware, dtype).cost, decodes);
    expect(seconds('A100', 'fp8')).toBeGreaterThan(2 * seconds('A100', 'auto'));
    expect(seconds('A100', 'int8')).toBeLessThan(seconds('A100', 'auto'));
    expect(seconds('H100', 'fp8')).toBeLessThan(seconds('H100', 'auto'));
    expect(at('A100', 'fp8').notes.join()).toContain('cannot convert fp8');
    expect(at('H100', 'fp8').notes.join()).not.toContain('cannot convert fp8');
  });

  it('halves KV bytes with fp8', () => {
    const plain = pool({ model: LLAMA_8B, hardware: 'H100' }).kv.bytesPerToken;
    const fp8 = pool({ model: LLAMA_8B, hardware: 'H100', options: { kvCacheDtype: 'fp8' } }).kv
      .bytesPerToken;
    expect(fp8 * 2).toBe(plain);
  });

  it.each([
    [
      { model: LLAMA_70B, hardware: 'A100' },
      '--model',
      /--tensor-parallel-size 2 would fit: 2 GPUs/,
    ],
    [{ model: LLAMA_8B, hardware: 'T4' }, '--model', /--tensor-parallel-size 2 would fit/],
    [
      { model: LLAMA_8B, hardware: 'L4', engine: 'trtllm-0.14' },
      '--model',
      /--max-num-seqs 512 --max-num-batched-tokens 2048 would fit.*; --tensor-parallel-size 2 would fit/,
    ],
    [
      { model: LLAMA_8B, hardware: 'H100', options: { tensorParallelSize: 5 } },
      '--tensor-parallel-size',
      /sizes that work: 1, 2, 4, 8, 16, 32/,
    ],
    [
      { model: LLAMA_8B, hardware: 'H100', options: { gpuMemoryUtilization: 1.5 } },
      '--gpu-memory-utilization',
      /a number in \(0, 1\], got 1.5/,
    ],
    [
      { model: LLAMA_8B, hardware: 'H100', options: { maxNumSeqs: 0 } },
      '--max-num-seqs',
      /at least 1, got 0/,
    ],
    [
      { model: LLAMA_8B, hardware: 'H100', options: { tensorParallelSize: 0 } },
      '--tensor-parallel-size',
      /at least 1/,
    ],
    [
      { model: LLAMA_8B, hardware: 'H100', options: { maxModelLen: 10_000_000 } },
      '--max-model-len',
      /at most \d+ tokens/,
    ],
    [
      { model: LLAMA_8B, hardware: 'H100', options: { quantization: 'fp9' } },
      '--quantization',
      /did you mean fp8/,
    ],
    [
      { model: LLAMA_8B, hardware: 'H100', options: { enableExpertParallel: true } },
      '--enable-expert-parallel',
      /a model with experts/,
    ],
    [
      {
        model: LLAMA_8B,
        hardware: 'H100',
        options: { prefillScheduleInterval: 2, schedulerRecvInterval: 30 },
      },
      '--scheduler-recv-interval',
      /no --prefill-schedule-interval beside it/,
    ],
    [
      { model: LLAMA_8B, hardware: 'H100', options: { batchWaitTimeoutIters: 20 } },
      '--batch-wait-max-tokens-ratio',
      /above 0: prompts wait by both or not at all, got nothing/,
    ],
    [
      { model: LLAMA_8B, hardware: 'T4', options: { dtype: 'bfloat16' } },
      '--dtype',
      /use --dtype float16/,
    ],
  ])('refuses %j at %s', (wrong, path, message) => {
    const refused = (): unknown => pool(wrong);
    expect(refused).toThrow(ConfigError);
    expect(refused).toThrow(message);
    expect(refused).toThrow(new RegExp(`^${path}: expected`));
  });
});
