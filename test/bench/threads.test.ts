import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SpreadSender } from '../../src/bench/threads/spread-sender.js';
import type { RunningServer } from '../../src/cli/commands/server.js';
import { cli } from '../cli/run-cli.js';
import { type DoubleServer, startDouble } from '../support/protocol-doubles.js';
import { interruptedAtFirstAnswer, startTestServer } from './server.js';

let folder: string;
let server: RunningServer;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'threads-'));
  server = await startTestServer({ timeToFirstToken: '60', interTokenLatency: '10' });
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

const bench = (line: string) =>
  cli(`bench --base-url ${server.url} --disable-tqdm --random-input-len 16 ${line}`);

describe('bench in several threads', () => {
  it('measures what one thread measures', async () => {
    const load = `--num-prompts 40 --request-rate 100 --burstiness inf --random-output-len 8 --random-range-ratio 0.5 --save-detailed --result-dir ${folder} --json`;
    const results = [];
    for (const workers of [1, 2]) {
      const { code, out } = await bench(`${load} --workers ${workers} --result-filename w.json`);
      expect(code).toBe(0);
      results.push(JSON.parse(out));
    }
    const [one, two] = results;
    for (const key of ['completed', 'total_input_tokens', 'input_lens', 'output_lens', 'errors']) {
      expect(two[key]).toEqual(one[key]);
    }
    expect([one.client.num_threads, two.client.num_threads]).toEqual([1, 2]);
    // The schedule is the load's: nothing is sent before its time, in whichever thread.
    for (const { start_times } of results) {
      for (const [i, s] of start_times.entries()) expect(s).toBeGreaterThan((i + 1) / 100 - 1e-3);
    }
    // Times of one clock: nothing comes sooner than the server sends it.
    expect(Math.min(...two.ttfts)).toBeGreaterThan(0.055);
  });

  it('holds one bound on concurrency over all of them', async () => {
    const { out } = await bench(
      '--num-prompts 30 --max-concurrency 3 --random-output-len 2 --workers 2 --json',
    );
    const result = JSON.parse(out);
    expect(result.completed).toBe(30);
    expect(result.max_concurrent_requests).toBeLessThanOrEqual(3);
  });

  it('stops all of them on Ctrl-C', async () => {
    const load = '--num-prompts 5000 --request-rate 100 --random-output-len 4 --workers 2';
    const { code, out } = await cli(
      `bench --base-url ${server.url} --random-input-len 16 ${load}`,
      interruptedAtFirstAnswer(),
    );
    expect(code).toBe(130);
    expect(out).toMatch(/Successful requests: +[1-9]/);
    expect(out).toContain('Failed requests:                         0 ');
  });

  it('refuses a number that is none', async () => {
    const { code, err } = await bench('--workers some');
    expect(code).toBe(1);
    expect(err).toContain('--workers: expected auto or a whole number of at least 1, got "some"');
  });
});

describe('SpreadSender', () => {
  let silent: DoubleServer;
  beforeAll(async () => {
    silent = await startDouble(() => {});
  });
  afterAll(() => silent.close());

  it('counts requests of a thread that was lost as failures', async () => {
    const sender = new SpreadSender(
      {
        backend: 'vllm',
        url: `${silent.url}/v1/completions`,
        insecure: false,
        headers: {},
        secrets: [],
        settings: { model: 'm', sampling: {}, ignoreEos: true },
        timeoutMs: 5_000,
        maxRetries: 0,
        keepText: false,
      },
      2,
    );
    await sender.ready();
    const now = performance.now();
    const record = sender.send(
      { id: '0', prompt: 'a', promptTokens: 1, maxTokens: 1 },
      { originMs: now, scheduledMs: now, dispatchedMs: now },
    );
    sender.close();
    expect((await record).failure?.kind).toBe('client_thread');
  });
});
