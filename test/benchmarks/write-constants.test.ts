import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { withConstants, withTerms, written } from '../../benchmarks/fidelity/write-constants.js';
import { dataPath } from '../../src/config/data-dir.js';

const read = (...path: string[]) => readFileSync(dataPath('perf_model', ...path), 'utf8');

describe('Fitted constants', () => {
  it.each([
    [0.794512, '0.795'],
    [2.2999, '2.3'],
    [33.74e-6, '33.7e-6'],
    [0.00099951, '0.001'],
    [4.4444e-9, '4.44e-9'],
    [1, '1'],
    [0, '0'],
  ])('are written with three digits: %f', (value, text) => {
    expect(written(value)).toBe(text);
    expect(Number(text)).toBeCloseTo(value, 3);
  });

  it('replace the numbers of the constants and of the override by its position', () => {
    const text = read('efficiency', 'global.json');
    const found = JSON.parse(
      withConstants(text, {
        'constant.gemmCompute16': 0.5,
        'constant.layerSeconds': 12.34e-6,
        'factor.0.kvMemory': 0.25,
      }),
    );
    const expected = JSON.parse(text);
    expected.constants.gemm_compute_16.value = 0.5;
    expected.constants.layer_seconds.value = 12.3e-6;
    expected.overrides[0].factors.kv_memory = 0.25;
    expect(found).toEqual(expected);
  });

  it('replace the terms of one generation of an engine, and leave the others and all notes', () => {
    const text = read('engines', 'vllm.json');
    const expected = JSON.parse(text);
    const generation = expected.generations.find((g: { since: string }) => g.since === '0.6');
    generation.host_s_per_step = 1.5e-3;
    generation.small_expert_s_per_layer = 45e-6;
    const found = withTerms(text, 'vllm', {
      'engine.vllm@0.6.hostSecondsPerStep': 1.5e-3,
      'engine.vllm@0.6.smallExpertSeconds': 45e-6,
    });
    expect(JSON.parse(found)).toEqual(expected);
  });

  it('say which of them has no place', () => {
    expect(() => withConstants(read('efficiency', 'global.json'), { 'constant.none': 1 })).toThrow(
      'nothing to replace: "none"',
    );
  });
});
