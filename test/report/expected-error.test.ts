import { describe, expect, it } from 'vitest';
import type { ErrorMetric, ExpectedError } from '../../src/core/perf/expected-error.js';
import { levelLine } from '../../src/report/expected-error.js';
import { cli } from '../cli/run-cli.js';

const error = (metric: ErrorMetric, medianPercent: number): ExpectedError => ({
  metric,
  medianPercent,
  p90Percent: 3 * medianPercent,
  basis: '100 measurements',
});

describe('levelLine', () => {
  it('names the level and the errors of TPOT and TTFT', () => {
    const expectedErrors = [error('e2el', 5), error('ttft', 18.6), error('tpot', 6.2)];
    expect(levelLine([{ level: 'analytic', expectedErrors }])).toBe(
      'analytic model, expect ±6 % on TPOT, ±19 % on TTFT (cross-validated; docs/fidelity.md)',
    );
  });

  it('is as sure as the weakest pool', () => {
    expect(
      levelLine([
        { level: 'analytic', expectedErrors: [error('tpot', 6)] },
        { level: 'calibrated', expectedErrors: [error('tpot', 9), error('ttft', 1)] },
      ]),
    ).toBe(
      'analytic and calibrated model, expect ±9 % on TPOT (cross-validated; docs/fidelity.md)',
    );
  });

  it('says so when nothing near was measured', () => {
    expect(levelLine([{ level: 'analytic', expectedErrors: [] }])).toBe(
      'analytic model (error not measured; docs/fidelity.md)',
    );
  });
});

describe('simulate', () => {
  it('carries the expected error in its JSON, with what it was measured on', async () => {
    const { out } = await cli(
      'simulate --model qwen/Qwen3-8B --hardware H100 --num-prompts 2 --json',
    );
    const [tpot] = JSON.parse(out).simulation.pools[0].expected_errors.filter(
      ({ metric }: { metric: string }) => metric === 'tpot',
    );
    expect(tpot.median_percent).toBeGreaterThan(0);
    expect(tpot.p90_percent).toBeGreaterThan(tpot.median_percent);
    expect(tpot.basis).toMatch(/^\d+ measurements: dense models, .+, nvidia$/);
  });
});
