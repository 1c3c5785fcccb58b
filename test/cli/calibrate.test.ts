import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { calibratedPool, IDENTITY } from '../../src/core/perf/calibration.js';
import { stepSeconds } from '../../src/core/perf/step-cost.js';
import { batch, pool } from '../core/perf/support.js';
import { cli } from './run-cli.js';

const WHAT = ['--model', 'qwen/Qwen3-8B', '--hardware', 'H100'];
const TRUTH = {
  fitted_on: 'qwen/Qwen3-8B on H100, vllm 0.14+',
  coefficients: {
    step_offset_ms: 2,
    per_sequence_ms: 0.05,
    bandwidth_factor: 0.8,
    flop_factor: 0.7,
    input_latency_ms: 15,
  },
  errors: [],
};

let folder: string;
const file = (name: string) => join(folder, name);
const write = (name: string, text: string) => {
  writeFileSync(file(name), text);
  return file(name);
};

/** A "real server": the model with other coefficients. Which step a request meets is chance, so a fit comes near its times, not upon them. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'calibrate-'));
  write('truth.json', JSON.stringify(TRUTH));
  const load = '--num-prompts 300 --request-rate 12 --random-range-ratio 0.8'.split(' ');
  const flags = [...WHAT, ...load, '--calibration', file('truth.json')];
  const { code } = await cli(['simulate', ...flags, '--save-requests', file('requests.jsonl')]);
  expect(code).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Row {
  readonly label: string;
  readonly half: string;
  readonly before: { readonly medianPercent: number };
  readonly after: { readonly medianPercent: number };
}
const calibrate = async (path: string, ...flags: string[]) => {
  const said = await cli(['calibrate', ...WHAT, '--observed', path, '--json', ...flags]);
  expect(said.err).toBe('');
  return JSON.parse(said.out) as typeof TRUTH & { readonly residuals: readonly Row[] };
};
const expectMended = (residuals: readonly Row[], percent: number) => {
  for (const { half, label, before, after } of residuals) {
    expect(before.medianPercent, `${label} ${half} before`).toBeGreaterThan(10);
    expect(after.medianPercent, `${label} ${half} after`).toBeLessThan(percent);
  }
};

interface SavedRow {
  readonly arrival_ms: number;
  readonly prompt_tokens: number;
  readonly output_tokens: number;
  readonly ttft_ms: number;
  readonly tpot_ms: number;
}
const savedRows = (): SavedRow[] =>
  readFileSync(file('requests.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as SavedRow);

describe('calibrate', () => {
  it('brings the model to the observed requests, and simulate takes the fit', async () => {
    const target = file('calibration.json');
    const { residuals, coefficients } = await calibrate(
      file('requests.jsonl'),
      '--save-calibration',
      target,
    );
    expect(residuals.map(({ label, half }) => `${label} ${half}`)).toEqual([
      'TTFT fitted',
      'TTFT held back',
      'TPOT fitted',
      'TPOT held back',
    ]);
    expectMended(residuals, 8);
    expect(Math.abs(coefficients.input_latency_ms - 15)).toBeLessThan(5);
    const { out } = await cli(['simulate', ...WHAT, '--num-prompts', '5', '--calibration', target]);
    expect(out).toMatch(
      /Times from +calibrated model, expect ±.+ on TPOT, ±.+ on TTFT \(held back/,
    );
    expect(out).not.toContain('calibrated on');
  });

  it('reads the detailed result of a load test', async () => {
    const rows = savedRows();
    const result = {
      start_times: rows.map((row) => 100 + row.arrival_ms / 1e3),
      ttfts: [...rows.map((row) => row.ttft_ms / 1e3)],
      itls: rows.map((row) => Array(row.output_tokens - 1).fill(row.tpot_ms / 1e3)),
      input_lens: rows.map((row) => row.prompt_tokens),
      output_lens: rows.map((row) => row.output_tokens),
    };
    const { residuals } = await calibrate(write('result.json', JSON.stringify(result)));
    expectMended(residuals, 8);
    const { start_times: _, ...untimed } = { ...result, request_rate: 12 };
    const path = write('untimed.json', JSON.stringify(untimed));
    const { code, err } = await cli(['calibrate', ...WHAT, '--observed', path]);
    expect([code, err.includes('start_times')]).toEqual([1, true]);
  });

  it('fits step times', async () => {
    const c = {
      ...IDENTITY,
      stepOffsetSeconds: 3e-3,
      bandwidthFactor: 0.7,
    };
    const { cost } = calibratedPool(pool({ model: 'qwen/Qwen3-8B', hardware: 'H100' }), c);
    const lines = [1, 3, 8, 20, 50, 120, 250].flatMap((numDecodes) =>
      [100, 1000, 5000].map((context) => {
        const prefill = (numDecodes * context) % 700;
        const ms = stepSeconds(cost, batch({ numDecodes, context, prefill })) * 1e3;
        return [numDecodes, numDecodes * context, prefill, ms].join(',');
      }),
    );
    const header = 'num_decodes,context_tokens,prefill_tokens,duration_ms';
    const path = write('steps.csv', [header, ...lines, ''].join('\n'));
    const { residuals, coefficients } = await calibrate(path);
    expectMended(residuals, 1.5);
    expect(coefficients.bandwidth_factor).toBeCloseTo(0.7, 1);
    expect(coefficients.input_latency_ms).toBe(0);
    const { out } = await cli(['calibrate', ...WHAT, '--observed', path]);
    expect(out).toContain('21 steps, every second one held back');
    expect(out).toContain('Not saved');
  });

  it.each([
    ['nothing.csv', '', 'nothing.csv: expected rows'],
    ['other.csv', 'a,b\n1,2\n', 'how long requests or steps took'],
    [
      'few.csv',
      'num_decodes,context_tokens,prefill_tokens,duration_ms\n1,100,0,5\n',
      'at least 8 steps',
    ],
    [
      'wrong.csv',
      'num_decodes,context_tokens,prefill_tokens,duration_ms\n1,100,0,5\n1,100,0,x\n',
      'wrong.csv:3: duration_ms: expected a number, got "x"',
    ],
    ['short.json', '{"ttfts":[1,2],"input_lens":[1],"output_lens":[1,2]}', 'input_lens: expected'],
  ])('refuses %s, saying where', async (name, text, says) => {
    const path = write(name, text);
    const { code, err } = await cli(['calibrate', ...WHAT, '--observed', path]);
    expect([code, err.includes(says) || err]).toEqual([1, true]);
  });

  it('says when a calibration belongs to something else', async () => {
    const flags = ['--model', 'qwen/Qwen3-8B', '--hardware', 'A100', '--num-prompts', '5'];
    const { out } = await cli(['simulate', ...flags, '--calibration', file('truth.json')]);
    expect(out).toContain('calibrated on qwen/Qwen3-8B on H100');
    const bad = write('bad.json', '{"coefficients":{}}');
    const { code, err } = await cli(['simulate', ...flags, '--calibration', bad]);
    expect([code, err.includes('step_offset_ms')]).toEqual([1, true]);
  });
});
