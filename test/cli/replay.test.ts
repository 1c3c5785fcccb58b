import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
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

  it('keeps the text of prompts only when told to', async () => {
    const text = join(folder, 'text.jsonl');
    const silent = join(folder, 'silent.jsonl');
    for (const flags of [{ record: text, recordText: true }, { record: silent }]) {
      const server = await serve(flags);
      const model = 'meta-llama/Llama-3.1-8B-Instruct';
      const post = (path: string, body: object) =>
        fetch(`${server.url}/v1/${path}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ model, max_tokens: 1, ...body }),
        });
      await post('completions', { prompt: 'Once upon' });
      await post('completions', { prompt: [220, 15] });
      await post('chat/completions', { messages: [{ role: 'user', content: 'Hello there' }] });
      await server.stop();
    }
    expect(readFileSync(silent, 'utf8')).not.toMatch(/Once|Hello|"prompt":/);
    const [first, second, third] = readRecording(text).map(({ promptText }) => promptText);
    expect(first).toBe('Once upon');
    expect(second).toMatch(/\S/);
    expect(third).toContain('Hello there');
    // The rows are a dataset of vLLM's `custom` form, too.
    const { custom } = await import('../../src/bench/datasets/custom.js');
    const options = { path: text, tokenizer: { count: () => 1 }, outputLen: -1 };
    const samples = custom.load(options as never) as { prompt: string; maxTokens: number }[];
    expect(samples.map(({ prompt, maxTokens }) => [prompt, maxTokens])).toEqual([
      [first, 1],
      [second, 1],
      [third, 1],
    ]);
  });

  it('says when a recording was cut off, wherever it is read', async () => {
    const cut = join(folder, 'cut.jsonl.gz');
    const lines = gunzipSync(readFileSync(path)).toString();
    writeFileSync(cut, gzipSync(lines.slice(0, -20)));
    const warning = `${cut}:2: the last line is cut off; it is left out`;
    const replayed = await cli(`replay ${cut} --model qwen/Qwen3-8B --hardware H200 --json`);
    expect([replayed.err, JSON.parse(replayed.out).completed]).toEqual([
      `warning: ${warning}\n`,
      1,
    ]);
    const compared = await cli(`compare ${cut} ${path}`);
    expect(compared.err).toContain(warning);
    const server = await serve({ playback: cut });
    expect(server.service.warnings).toEqual([warning]);
    await server.stop();
  });

  it.each([
    ['server --record-text --port 0', '--record-text: expected a file to record to'],
    ['server --playback nowhere.jsonl --port 0', '--playback: expected a readable file'],
    ['server --record /nowhere/at/all.jsonl --port 0', '--record: expected a file that can be'],
    ['replay nowhere.jsonl --model qwen/Qwen3-8B --hardware H200', '--trace: expected a readable'],
  ])('refuses: %s', async (line, message) => {
    const { code, err } = await cli(line);
    expect([code, err.slice(7, 7 + message.length)]).toEqual([1, message]);
  });
});
