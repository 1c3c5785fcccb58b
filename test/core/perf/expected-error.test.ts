import { describe, expect, it } from 'vitest';
import { expectedErrors, type MeasuredError } from '../../../src/core/perf/expected-error.js';
import { pool } from './support.js';

const { deployment } = pool({
  model: 'meta-llama/Llama-3.1-8B-Instruct',
  hardware: 'H100',
  engine: 'vllm-0.9',
});
const measured = (change: Partial<MeasuredError>): MeasuredError => ({
  metric: 'tpot',
  kind: 'dense',
  vendor: 'nvidia',
  engine: 'vllm@0.8',
  rows: 100,
  medianPercent: 5,
  p90Percent: 15,
  ...change,
});

describe('Expected error', () => {
  it('is that of the same engine, kind of model and vendor where it was measured', () => {
    const errors = [
      measured({}),
      measured({ engine: 'trtllm@0', medianPercent: 9 }),
      measured({ kind: 'experts', medianPercent: 20 }),
    ];
    expect(expectedErrors(errors, deployment)).toEqual([
      {
        metric: 'tpot',
        medianPercent: 5,
        p90Percent: 15,
        basis: '100 measurements: dense models, vLLM V1, synchronous scheduling, nvidia',
      },
    ]);
  });

  it('widens to other engines when too little was measured on this one', () => {
    const errors = [
      measured({ rows: 4 }),
      measured({ engine: 'trtllm@0', rows: 36, medianPercent: 10 }),
    ];
    expect(expectedErrors(errors, deployment)[0]).toMatchObject({
      medianPercent: (4 * 5 + 36 * 10) / 40,
      basis: '40 measurements: dense models, other engines, nvidia',
    });
  });

  it('says nothing where nothing was measured', () => {
    expect(expectedErrors([], deployment)).toEqual([]);
    expect(expectedErrors([measured({ rows: 2 })], deployment)).toEqual([]);
  });
});
