import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConversations } from '../../src/bench/multi-turn/conversations.js';
import { distribution } from '../../src/bench/multi-turn/distributions.js';
import { share } from '../../src/bench/multi-turn/play.js';
import { describe as described } from '../../src/bench/multi-turn/statistics.js';
import { writeWorkbook } from '../../src/bench/multi-turn/workbook.js';
import type { RunningServer } from '../../src/cli/commands/server.js';
import { Rng } from '../../src/core/rng.js';
import { builtInTokenizer } from '../../src/text/index.js';
import { cli } from '../cli/run-cli.js';
import { chat, startDouble } from '../support/protocol-doubles.js';
import { startTestServer } from './server.js';

const FILE = 'examples/datasets/conversations.json';
let folder: string;
let server: RunningServer;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'multi-turn-'));
  server = await startTestServer({
    servedModelName: ['gpt-4'],
    speed: 'inf',
    enablePrefixCaching: true,
  });
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

const play = (line: string) =>
  cli(`bench multi-turn -m gpt-4 -u ${server.url} --result-dir ${folder} ${line}`);

describe('bench multi-turn, the commands of the requirement', () => {
  it('writes a workbook', async () => {
    const { code, out, err } = await play(
      `-i ${FILE} -p 4 --request-rate 200 -n 40 --excel-output --warmup-percentages 0%,50%`,
    );
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(/completed: 40\nfailed: 0/);
    expect(out).toContain('Without the first 50 %:');
    expect(out).toMatch(/^Client: adds about [\d.]+ ms to TTFT and E2EL, /m);
    const [file] = readdirSync(folder).filter((name) => name.endsWith('.xlsx'));
    expect(file).toMatch(/^statistics_4_clients__\d\d-\d\d-\d{4}_\d\d-\d\d-\d\d\.xlsx$/);
    expect(readFileSync(join(folder, file!)).toString('latin1', 0, 2)).toBe('PK');
  });

  it('plays with many clients', async () => {
    const { code, out } = await play(
      `-i ${FILE} -p 10 -k 50 --request-rate 500 --max-num-requests 105 --no-early-stop --json`,
    );
    expect(code).toBe(0);
    const result = JSON.parse(out);
    expect([result.completed, result.failed]).toEqual([105, 0]);
    expect(result.client.client_limit_chunks_per_s).toBeGreaterThan(0);
    const [first, second] = result.per_turn;
    expect([first.input_num_turns, second.input_num_turns]).toEqual([1, 3]);
    // The second turn finds the first one, whole blocks of it, in the prefix cache.
    expect(first.mean_cached_tokens).toBeLessThan(16);
    expect(second.mean_cached_tokens).toBeGreaterThan(first.mean_input_num_tokens - 32);
  });

  it('names the conversation in body and header, from whichever thread', async () => {
    const double = await startDouble(chat);
    const { code } = await cli(
      `bench multi-turn -m m -u ${double.url} -i ${FILE} -p 4 -n 12 --no-early-stop --workers 2 --send-conversation-id`,
    );
    await double.close();
    expect(code).toBe(0);
    expect(double.bodies).toHaveLength(12);
    const named = double.bodies.map((body) => (body as Record<string, unknown>).conversation_id);
    expect(double.headers.map((headers) => headers['x-session-id'])).toEqual(named);
    expect(new Set(named).size).toBeGreaterThan(1);
  });

  it('gets answers as long as recorded ones, and keeps them', async () => {
    const out = join(folder, 'answers.json');
    const { code } = await play(`-i ${FILE} -p 2 -n 12 -o ${out}`);
    expect(code).toBe(0);
    const [before, after] = [FILE, out].map((path) => JSON.parse(readFileSync(path, 'utf8')));
    expect(after[0].messages[0]).toEqual(before[0].messages[0]);
    expect(after[0].messages[1].content).not.toBe(before[0].messages[1].content);
    const tokenizer = await builtInTokenizer('cl100k_base');
    const lengths = [before, after].map((c) => tokenizer.count(c[0].messages[1].content));
    expect(lengths[1]).toBe(lengths[0]);
  });

  it('generates conversations, with a warm-up step', async () => {
    const { code, out } = await play(
      '-i examples/datasets/generate.json -p 4 --warmup-step --no-early-stop --json',
    );
    const { completed, per_turn } = JSON.parse(out);
    expect(code).toBe(0);
    expect(completed).toBeGreaterThan(24);
    expect(per_turn[0].input_num_turns).toBe(3);
  });

  it.each([
    [`-i ${FILE} -p 4 -k 3`, '--max-active-conversations: expected at least 4'],
    [`-i ${FILE} -k 100`, '--max-active-conversations: expected at most the 60 conversations'],
    [`-i ${FILE} -p 4 -n 3`, '--max-num-requests: expected at least 4'],
    [`-i ${FILE} -p 61`, '--input-file: expected a conversation for each of 61 clients'],
    ['-i nowhere.json', '--input-file: expected a readable file'],
    [
      `-i ${FILE} --limit-min-tokens 9 --limit-max-tokens 3`,
      '--limit-min-tokens: expected at most',
    ],
    [`-i ${FILE} --warmup-percentages half`, '--warmup-percentages: expected a list'],
  ])('refuses %s', async (line, message) => {
    const { code, err } = await play(line);
    expect(code).toBe(1);
    expect(err).toContain(message);
  });
});

describe('share', () => {
  it('loses nothing', () => {
    const shares = Array.from({ length: 7 }, (_, i) => share(1000, 7, i));
    expect(shares).toEqual([143, 143, 143, 143, 143, 143, 142]);
  });
});

describe('describe', () => {
  it("is pandas' describe", () => {
    const { count, mean, std, '25%': q1, '90%': q9 } = described([4, 1, 3, 2]);
    expect([count, mean, q1]).toEqual([4, 2.5, 1.75]);
    expect(q9).toBeCloseTo(3.7, 12);
    expect(std).toBeCloseTo(1.2909944487358056, 12);
    expect(described(Array.from({ length: 100 }, (_, i) => i))).toHaveProperty('99%');
  });
});

describe('distribution', () => {
  const mean = (spec: object) => {
    const draw = distribution(spec, 'x', new Rng(1).stream('x'));
    return Array.from({ length: 20_000 }, draw).reduce((sum, v) => sum + v, 0) / 20_000;
  };
  it('has the mean it says', () => {
    expect(mean({ distribution: 'constant', value: 7 })).toBe(7);
    expect(mean({ distribution: 'uniform', min: 10, max: 20 })).toBeCloseTo(15, 0);
    expect(mean({ distribution: 'lognormal', average: 1000 })).toBeGreaterThan(985);
    expect(mean({ distribution: 'lognormal', average: 1000 })).toBeLessThan(1015);
    expect(mean({ distribution: 'poisson', alpha: 6 })).toBeCloseTo(6, 0);
    // ζ(2)/ζ(3) = 1.3684
    expect(mean({ distribution: 'zipf', alpha: 3 })).toBeCloseTo(1.3684, 1);
  });
  it('refuses what it does not know', () => {
    const draw = () =>
      distribution({ distribution: 'pareto' }, 'a.num_turns', new Rng(1).stream('x'));
    expect(draw).toThrow('a.num_turns.distribution: expected constant, uniform');
  });
});

describe('readConversations', () => {
  it('generates turns of the lengths asked for', async () => {
    const tokenizer = await builtInTokenizer('cl100k_base');
    const conversations = readConversations('examples/datasets/generate.json', 3, tokenizer);
    expect(conversations).toHaveLength(24);
    for (const { messages } of conversations) {
      expect(messages.length % 2).toBe(0);
      expect(messages.map(({ role }) => role).slice(0, 2)).toEqual(['user', 'assistant']);
      const answer = tokenizer.count(messages[1]!.content);
      expect(answer).toBeGreaterThanOrEqual(8);
      expect(answer).toBeLessThanOrEqual(20);
    }
  });
});

describe('writeWorkbook', () => {
  it('writes CSV files where the writer is absent', async () => {
    const sheets = [
      {
        name: 'Raw data',
        suffix: 'raw',
        rows: [
          ['a', 'b'],
          [1, 'x,"y"'],
        ],
      },
    ];
    const files = await writeWorkbook(join(folder, 'run'), sheets, undefined);
    expect(files).toEqual([join(folder, 'run_raw.csv')]);
    expect(readFileSync(files[0]!, 'utf8')).toBe('a,b\n1,"x,""y"""\n');
  });
});
