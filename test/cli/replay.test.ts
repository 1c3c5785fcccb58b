import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { startServer } from '../../src/cli/commands/server.js';
import { completeFlags } from '../../src/cli/live/server-flags.js';
import type { Flags } from '../../src/cli/simulate-flags.js';
import { readRecording } from '../../src/files/recording.js';
import { cli } from './run-cli.js';

const folder = mkdtempSync(join(tmpdir(), 'replay-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'recorded.jsonl.gz');

const serve = (flags: Flags) =>
  startServer(completeFlags({ port: '0', grpcPort: '0', speed: 'inf', ...flags }, {}), {
    out() {},
    err() {},
    errIsTerminal: false,
    onInterrupt: () => () => {},
    onStop() {},
  });

/** Simulated milliseconds from arrival to each token. */
function tokenTimes(server: Awaited<ReturnType<typeof serve>>, maxTokens: number) {
  const { cluster } = server.service.served[0]!;
  return new Promise<number[]>((resolve) => {
    const times: number[] = [];
    const arrivedAt = cluster.now;
    cluster.request$({ promptTokens: 30, maxTokens }).subscribe((event) => {
      if (event.kind === 'tokens') times.push((event.at - arrivedAt) / 1e6);
      else resolve(times);
    });
  });
}

describe('a recorded server', () => {
  it('writes down what it answered, and is replayed', async () => {
    const server = await serve({ record: path });
    for (const max_tokens of [3, 5]) {
      const answer = await fetch(`${server.url}/v1/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          model: 'meta-llama/Llama-3.1-8B-Instruct',
          prompt: 'Once upon a time',
          max_tokens,
          ignore_eos: true,
        }),
      });
      expect(answer.status).toBe(200);
    }
    await server.stop();
    const requests = readRecording(path);
    expect(requests.map(({ outputTokens, gapsMs }) => [outputTokens, gapsMs.length])).toEqual([
      [3, 2],
      [5, 4],
    ]);

    const { code, out } = await cli(`replay ${path} --model qwen/Qwen3-8B --hardware H200 --json`);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ completed: 2, total_output_tokens: 8 });

    const beside = await cli(`compare ${path} ${path} --json`);
    const { metrics } = JSON.parse(beside.out) as { metrics: Record<string, unknown>[] };
    const mean = metrics.find(({ key }) => key === 'mean_ttft_ms');
    const ttft = requests.reduce((sum, { ttftMs }) => sum + ttftMs! / 2, 0);
    expect(JSON.stringify(mean)).toContain(String(ttft));

    const again = await serve({ playback: path });
    for (const { ttftMs, gapsMs, outputTokens } of requests) {
      const times = await tokenTimes(again, outputTokens);
      expect(times[0]).toBeCloseTo(ttftMs!, 6);
      expect(times.at(-1)! - times[0]!).toBeCloseTo(
        gapsMs.reduce((sum, gap) => sum + gap, 0),
        6,
      );
    }
    await again.stop();
  });

  it.each([
    ['server --playback nowhere.jsonl --port 0', '--playback: expected a readable file'],
    ['server --record /nowhere/at/all.jsonl --port 0', '--record: expected a file that can be'],
    ['replay nowhere.jsonl --model qwen/Qwen3-8B --hardware H200', '--trace: expected a readable'],
  ])('refuses: %s', async (line, message) => {
    const { code, err } = await cli(line);
    expect([code, err.slice(7, 7 + message.length)]).toEqual([1, message]);
  });
});
