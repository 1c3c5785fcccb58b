import { describe, expect, it } from 'vitest';
import { parseBatch } from '../../src/cli/explain/batch.js';
import { stepSeconds } from '../../src/core/perf/step-cost.js';
import { batch, pool } from '../core/perf/support.js';
import { cli } from './run-cli.js';

const QWEN = ['explain', '--model', 'qwen/Qwen3-8B', '--hardware', 'H100'];

interface Operator {
  readonly name: string;
  readonly duration_ms: number;
  readonly constants: readonly string[];
}

describe('--batch', () => {
  it('counts decodes and prompts', () => {
    expect(parseBatch('prefill=512 decode=64@2048', Infinity)).toEqual({
      numDecodes: 64,
      decodeContext: 131_072,
      decodeWindowContext: 131_072,
      prefillTokens: 512,
      numPrefills: 1,
      prefillPairs: 131_328,
      prefillWindowPairs: 131_328,
      prefillHistory: 0,
      numSampled: 65,
      draftTokens: 0,
      loraTokens: 0,
      numAdapters: 0,
    });
  });

  it('adds chunks up, each after tokens computed earlier', () => {
    const shape = parseBatch('prefill=2x3@10 prefill=1', 4);
    expect([shape.prefillTokens, shape.numPrefills, shape.prefillHistory]).toEqual([7, 3, 20]);
    // Tokens at 10, 11 and 12 attend to 11, 12 and 13 tokens, or to the 4 of the window.
    expect([shape.prefillPairs, shape.prefillWindowPairs]).toEqual([2 * 36 + 1, 2 * 12 + 1]);
  });

  it('counts what a window lets decodes see', () => {
    const shape = parseBatch('decode=2@100 decode=3@10', 32);
    expect([shape.decodeContext, shape.decodeWindowContext]).toEqual([230, 94]);
  });

  it.each(['', 'decode=64', 'prefill=0', 'prefill=5.5', 'decode=4@', 'x=3', 'decode=0@5'])(
    'refuses "%s" and says the form',
    async (text) => {
      const { code, err } = await cli([...QWEN, '--batch', text]);
      expect(code).toBe(1);
      expect(err).toContain('--batch: expected');
    },
  );
});

describe('explain', () => {
  it('has rows that add up to the step the engine would see', async () => {
    const { out } = await cli([...QWEN, '--batch', 'prefill=512 decode=64@2048', '--json']);
    const [said] = JSON.parse(out).pools;
    const { cost } = pool({ model: 'qwen/Qwen3-8B', hardware: 'H100' });
    const shape = batch({ numDecodes: 64, context: 2048, prefill: 512 });
    expect(said.duration_ms).toBe(stepSeconds(cost, shape) * 1e3);
    const rows = said.operators as Operator[];
    const sum = rows.reduce((all, row) => all + row.duration_ms, 0);
    expect(sum).toBeCloseTo(said.duration_ms, 1);
  });

  it.each([
    '--model qwen/Qwen3-8B --hardware H100 -tp 2',
    '--model openai/gpt-oss-120b --hardware A100 -tp 4',
    '--model meta-llama/Llama-3.1-70B-Instruct --hardware L40S -tp 4 --quantization fp8',
  ])('names value and source of every constant: %s', async (flags) => {
    const { out, err } = await cli(`explain ${flags} --json`);
    expect(err).toBe('');
    const [said] = JSON.parse(out).pools;
    const named = new Set((said.operators as Operator[]).flatMap((row) => row.constants));
    expect(said.constants.map(({ name }: { name: string }) => name)).toEqual([...named]);
    for (const { name, value, source } of said.constants) {
      expect([name, typeof value, source.length > 3]).toEqual([name, 'number', true]);
    }
  });

  it('names the dispatch floor where a step stands on it', async () => {
    const { out } = await cli(
      'explain --model qwen/Qwen3-8B --hardware B200 -tp 8 --batch prefill=600',
    );
    expect(out).toContain('launching layer by layer (dispatch floor)');
  });

  it('ends with the error to expect and what would reduce it', async () => {
    const { out } = await cli(QWEN);
    expect(out).toMatch(/TPOT: ±\d+ % in half of the cases/);
    expect(out).toContain('of this step is decode attention: it stands on kv_memory');
  });
});
