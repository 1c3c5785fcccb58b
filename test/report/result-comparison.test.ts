import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareResults } from '../../src/report/result-comparison.js';
import { quantilePoints, savedResults } from '../../src/report/saved-result.js';
import { cli } from '../cli/run-cli.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'compare-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const result = (change: object = {}) =>
  JSON.stringify({
    backend: 'vllm',
    request_rate: 'inf',
    duration: 10,
    completed: 100,
    request_throughput: 10,
    median_ttft_ms: 40,
    p99_ttft_ms: 80,
    ...change,
  });

describe('savedResults', () => {
  it('reads an object, a list, and JSON Lines', () => {
    expect(savedResults(result(), 'a')).toHaveLength(1);
    expect(savedResults(`${result()}\n${result()}\n`, 'a').map(({ name }) => name)).toEqual([
      'a[0]',
      'a[1]',
    ]);
    expect(savedResults(`{"results":[${result()},${result()}]}`, 'a')).toHaveLength(2);
    expect(savedResults(result(), 'a')[0]!.numbers.request_rate).toBe(Infinity);
  });

  it('refuses what is no result', () => {
    expect(() => savedResults('{"a":1}', 'x.json')).toThrow('x.json: request_throughput');
    expect(() => savedResults('hello', 'x.json')).toThrow('x.json: expected a JSON result');
  });

  it('has points of a distribution from percentiles, or from samples', () => {
    const [a] = savedResults(result(), 'a');
    expect(quantilePoints(a!, 'ttft')).toEqual([
      [50, 40],
      [99, 80],
    ]);
    const [b] = savedResults(result({ ttfts: [0.01, 0.03, 0.02] }), 'b');
    expect(quantilePoints(b!, 'ttft')).toContainEqual([50, 20]);
  });
});

describe('compareResults', () => {
  it('tells changes against the first', () => {
    const results = [
      ...savedResults(result(), 'a'),
      ...savedResults(result({ median_ttft_ms: 30 }), 'b'),
    ];
    const change = compareResults(results).find(({ key }) => key === 'median_ttft_ms');
    expect(change).toEqual({ key: 'median_ttft_ms', values: [40, 30], changes: [0, -0.25] });
  });
});

describe('compare', () => {
  it('reads a prediction of simulate, and draws quantiles', async () => {
    const [a, b, html] = ['a.json', 'b.json', 'c.html'].map((name) => join(folder, name));
    writeFileSync(a!, result());
    await cli(
      `simulate --model qwen/Qwen3-8B --hardware A100 --num-prompts 50 --request-rate 4 --save-result ${b}`,
    );
    const { code, out } = await cli(`compare ${a} ${b} --html ${html}`);
    expect(code).toBe(0);
    expect(out).toMatch(/p99_ttft_ms +80 +[\d.]+ +[+−][\d.]+ %/);
    expect(out).toMatch(/TTFT \(ms\)\n {2}A {2}p50 +40 +[█▏▎▍▌▋▊▉]/);
    const page = readFileSync(html!, 'utf8');
    expect(page).toContain('<svg');
    expect(page).not.toMatch(/<script|src=|href=/);
  });

  it('wants two', async () => {
    const path = join(folder, 'one.json');
    writeFileSync(path, result());
    const { code, err } = await cli(`compare ${path}`);
    expect([code, err]).toEqual([1, expect.stringContaining('two results or more')]);
  });
});
