import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BenchResult } from '../../src/bench/result.js';
import { findBenchRate } from '../../src/bench/sweep.js';
import type { RunningServer } from '../../src/cli/commands/server.js';
import { cli } from '../cli/run-cli.js';
import { startTestServer } from './server.js';

let folder: string;
let server: RunningServer;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sweep-'));
  server = await startTestServer({ timeToFirstToken: '20', interTokenLatency: '2' });
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

const bench = (line: string) =>
  cli(
    `bench --base-url ${server.url} --num-prompts 6 --random-input-len 16 --random-output-len 4 ${line}`,
  );

/** A result in which a server that carries 10 requests/s meets the bounds. */
const resultAt = (rate: number): BenchResult =>
  ({
    config: { numPrompts: 100 },
    measured: { good: rate <= 10 ? 100 : 50, completed: 100, failed: 0, peakConcurrency: 5 },
  }) as unknown as BenchResult;

describe('findBenchRate', () => {
  it('closes in on the limit', async () => {
    const rates: number[] = [];
    const found = await findBenchRate(1, 0.99, async (rate) => {
      rates.push(rate);
      return { ...resultAt(rate), rate } as BenchResult;
    });
    expect(rates.slice(0, 5)).toEqual([1, 2, 4, 8, 16]);
    const best = (found!.best as BenchResult & { rate: number }).rate;
    expect(best).toBeLessThanOrEqual(10);
    expect(best).toBeGreaterThan(10 / 1.1);
    expect(found!.unbounded).toBe(false);
  });

  it('goes down when the first rate is too much', async () => {
    const found = await findBenchRate(64, 0.99, async (rate) => resultAt(rate));
    expect(found!.runs.length).toBeLessThan(10);
  });

  it('refuses bounds that no rate meets', async () => {
    const never = async () => resultAt(1e9);
    await expect(findBenchRate(1, 0.99, never)).rejects.toThrow('bounds that an idle server meets');
  });
});

describe('bench over several loads', () => {
  it('has a row for each rate, and one page', async () => {
    const html = join(folder, 'sweep.html');
    const { code, out } = await bench(`--request-rate 50,100 --html ${html} --goodput ttft:5000`);
    expect(code).toBe(0);
    expect(out).toMatch(/^50 req\/s .* 100 %$/m);
    expect(out).toMatch(/^100 req\/s /m);
    expect(out).toMatch(/^(50|100) req\/s: Client: adds about/m);
    const page = readFileSync(html, 'utf8');
    expect(page).toContain('TTFT over rate');
    expect(page).not.toMatch(/<script|<link|src=/);
  });

  it('has a row for each concurrency, and one file', async () => {
    const file = join(folder, 'sweep.json');
    const { code } = await bench(`--max-concurrency 1,3 --save-result ${file}`);
    expect(code).toBe(0);
    const { results } = JSON.parse(readFileSync(file, 'utf8'));
    expect(results.map((r: { max_concurrency: number }) => r.max_concurrency)).toEqual([1, 3]);
    expect(
      results.map((r: { max_concurrent_requests: number }) => r.max_concurrent_requests),
    ).toEqual([1, 3]);
    expect((await cli(`compare ${file}`)).out).toContain('median_ttft_ms');
  });

  it('says when no limit was found', async () => {
    const { out } = await bench('--find-rate --goodput ttft:20000 --request-rate 400');
    expect(out).toContain('raise --num-prompts to find a limit');
  });

  it('writes a page for one run', async () => {
    const html = join(folder, 'run.html');
    await bench(`--html ${html} --disable-tqdm`);
    const page = readFileSync(html, 'utf8');
    for (const part of [
      'TTFT over time',
      'ITL over time',
      'ITL, distribution',
      'Throughput over time',
    ]) {
      expect(page).toContain(part);
    }
  });
});

describe('bench self-check', () => {
  it('tells its bias against known times', async () => {
    const known = '--time-to-first-token 20 --inter-token-latency 2';
    const { code, out, err } = await cli(
      `bench self-check --base-url ${server.url} ${known} --streams 1,5 --json`,
    );
    expect([code, err]).toEqual([0, '']);
    const { steps } = JSON.parse(out);
    expect(steps.map((s: { streams: number }) => s.streams)).toEqual([1, 5]);
    for (const step of steps) {
      expect(step.tokens_equal).toBe(true);
      // Nothing is measured before it happened.
      expect(step.ttft_bias_median_ms).toBeGreaterThan(-0.5);
      expect(step.client_bias_estimate_ms).toBeGreaterThanOrEqual(0);
      expect(step.client_limit_chunks_per_s).toBeGreaterThan(0);
    }
  });
});
