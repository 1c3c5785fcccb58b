import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cli } from './run-cli.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'examples-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const EXAMPLES = readdirSync('examples').filter((file) => file.endsWith('.yaml'));

/** The commands in the comment at its top, cut short so that all of them run in a moment. */
const commandsOf = (file: string): string[] =>
  [...readFileSync(join('examples', file), 'utf8').matchAll(/^# {3}npx llmservingsim (.*)$/gm)].map(
    ([, line]) => line!.replaceAll('output/', `${folder}/output/`),
  );

const result = async (line: string) => JSON.parse((await cli(`${line} --json`)).out);

describe.each(EXAMPLES)('examples/%s', (file) => {
  it('shows what would run', async () => {
    const { code, out, err } = await cli(`simulate --config examples/${file} --dry-run`);
    expect([code, err]).toEqual([0, '']);
    expect(out).toContain('Typical steps');
  });

  it('names commands that run', async () => {
    const commands = commandsOf(file);
    expect(commands.length).toBeGreaterThanOrEqual(2);
    for (const command of commands) {
      const { code, out, err } = await cli(`${command} --num-prompts 6 --json`);
      expect([command, code, err]).toEqual([command, 0, '']);
      const turns = Number(/--multi-turn-num-turns (\d+)/.exec(command)?.[1] ?? 1);
      if (!command.includes('--dry-run')) expect(JSON.parse(out).completed).toBe(6 * turns);
    }
  });
});

describe('examples', () => {
  const on = (file: string, flags = '') =>
    result(`simulate --config examples/${file} --num-prompts 100 ${flags}`);

  it('show what they say: questions overtake jobs by priority', async () => {
    const rowsOf = async (policy: string) => {
      const path = join(folder, `${policy}.jsonl`);
      await cli(
        `simulate --config examples/priority.yaml --scheduling-policy ${policy} --save-requests ${path}`,
      );
      const rows = readFileSync(path, 'utf8').trimEnd().split('\n');
      return rows.map((row) => JSON.parse(row)).filter((row) => /question/.test(row.request_id));
    };
    const worst = (rows: { ttft_ms: number }[]) => Math.max(...rows.map((row) => row.ttft_ms));
    expect(worst(await rowsOf('priority'))).toBeLessThan(worst(await rowsOf('fcfs')) / 2);
  });

  it('show what they say: chunks keep gaps between tokens short', async () => {
    const chunked = await on('chunked-prefill.yaml');
    const whole = await on('chunked-prefill.yaml', '--max-num-batched-tokens 8192');
    expect(chunked.p99_itl_ms).toBeLessThan(whole.p99_itl_ms);
  });

  it('show what they say: asynchronous scheduling shortens TPOT', async () => {
    const there = await on('async-scheduling.yaml');
    const not = await on('async-scheduling.yaml', '--no-async-scheduling');
    expect(there.simulation.pools[0].options.async_scheduling).toBe(true);
    expect(there.mean_tpot_ms).toBeLessThan(0.95 * not.mean_tpot_ms);
  });

  it('show what they say: 8 bits make room for KV and shorten steps', async () => {
    const eight = await on('quantization.yaml');
    const sixteen = await on('parallelism.yaml', '-tp 2 -pp 1 --npu-num 2');
    expect(eight.mean_tpot_ms).toBeLessThan(sixteen.mean_tpot_ms);
    const tokens = (r: typeof eight) => r.simulation.pools[0].kv.num_tokens;
    expect(tokens(eight)).toBeGreaterThan(2 * tokens(sixteen));
  });

  it('show what they say: verified guesses gain most while there are few requests', async () => {
    const never = `--speculative-config '{"method":"ngram","num_speculative_tokens":1,"acceptance":0}'`;
    const gainAt = async (concurrency: number) => {
      const load = `--max-concurrency ${concurrency} --num-prompts ${4 * concurrency}`;
      const guessing = await on('speculation.yaml', load);
      const plain = await on('speculation.yaml', `${load} ${never}`);
      expect(guessing.spec_decode_acceptance_length).toBeGreaterThan(2);
      expect(plain.spec_decode_acceptance_length).toBe(1);
      return plain.mean_tpot_ms / guessing.mean_tpot_ms;
    };
    const few = await gainAt(4);
    expect(few).toBeGreaterThan(1.6);
    expect(await gainAt(256)).toBeLessThan(0.8 * few);
  });

  it('show what they say: with a slot for each adapter nobody waits', async () => {
    const few = await on('lora.yaml');
    const enough = await on('lora.yaml', '--max-loras 20 --max-cpu-loras 20');
    expect(enough.mean_ttft_ms).toBeLessThan(few.mean_ttft_ms / 2);
    expect(enough.simulation.instances[0].lora_evictions).toBe(0);
    expect(enough.simulation.pools[0].kv.num_tokens).toBeLessThan(
      few.simulation.pools[0].kv.num_tokens,
    );
  });

  it('show what they say: what a tier kept is not computed again', async () => {
    const talk = '--multi-turn --multi-turn-num-turns 8 --multi-turn-delay-ms 20000';
    const { mean_ttft_ms, simulation } = await on('kv-tiers.yaml', talk);
    const [cpu, remote] = simulation.instances[0].kv_tiers;
    expect(mean_ttft_ms).toBeLessThan(500);
    expect(cpu.num_blocks).toBeLessThanOrEqual(cpu.capacity_blocks);
    expect(cpu.query_tokens - cpu.hit_tokens).toBe(remote.query_tokens);
    expect(simulation.prefix_hit_fraction).toBeGreaterThan(0.7);
  });

  it('show what they say: a shared prefix is computed once', async () => {
    const cached = await on('prefix-cache.yaml');
    const not = await on('prefix-cache.yaml', '--no-enable-prefix-caching');
    expect(cached.simulation.prefix_hit_fraction).toBeGreaterThan(0.8);
    expect(cached.mean_ttft_ms).toBeLessThan(not.mean_ttft_ms / 2);
  });
});
