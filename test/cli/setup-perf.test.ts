import { describe, expect, it } from 'vitest';
import { cli } from './run-cli.js';

describe('setup-perf', () => {
  it('builds every combination of the requirement', async () => {
    const { code, out } = await cli('setup-perf --json');
    const rows = JSON.parse(out) as { model: string; hardware: string; num_gpus: number }[];
    expect(code).toBe(0);
    expect(new Set(rows.map(({ model, hardware }) => `${model} on ${hardware}`)).size).toBe(33);
    expect(rows.every(({ num_gpus }) => num_gpus >= 1)).toBe(true);
  });

  it('tells how many GPUs a model needs, and what they do', async () => {
    const { out } = await cli('setup-perf --model qwen/Qwen3-8B --hardware H100,T4');
    expect(out).toMatch(/^ {2}H100 +1 +[\d,]+ +[\d.]+ ms +[\d.]+ ms +[\d.]+ ms +[\d,]+$/m);
    expect(out).toMatch(/^ {2}T4 +2 /m);
  });

  it('shows no batch that the KV cache does not hold', async () => {
    const { out } = await cli('setup-perf --model facebook/opt-6.7b --hardware T4');
    expect(out).toMatch(/^ {2}T4 +1 .* – +–$/m);
  });

  it('says when a model fits nowhere', async () => {
    const { code, out } = await cli('setup-perf --model deepseek-ai/DeepSeek-V3 --hardware T4');
    expect(code).toBe(0);
    expect(out).toMatch(/not on 8 either/);
  });

  it('names what it does not know', async () => {
    const { code, err } = await cli('setup-perf --hardware H1000');
    expect([code, err.split('\n')[0]]).toEqual([1, expect.stringMatching(/^error: --hardware: /)]);
  });
});
