import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cli } from './run-cli.js';

const ON = '--model qwen/Qwen3-8B --hardware A100';
const SMALL = `${ON} --num-prompts 200 --request-rate 4 --random-input-len 64 --random-output-len 16`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'simulate-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const json = async (line: string) => JSON.parse((await cli(`simulate ${line} --json`)).out);

describe('simulate', () => {
  it('reports what a person wants to know', async () => {
    const { code, out, err } = await cli(`simulate ${SMALL}`);
    expect([code, err]).toEqual([0, '']);
    for (const word of [
      'TTFT',
      'TPOT',
      'ITL',
      'E2E',
      'KV cache',
      'Preemptions',
      'Busy',
      'Bottleneck',
    ]) {
      expect(out).toContain(word);
    }
    expect(out).toMatch(/[▁▂▃▄▅▆▇█]/);
    expect(out).toContain('200 completed');
  });

  it("has vLLM's keys in its result, and its own in one object", async () => {
    const result = await json(SMALL);
    expect(Object.keys(result)).toEqual(
      expect.arrayContaining([
        ...['duration', 'completed', 'total_input_tokens', 'total_output_tokens'],
        ...['request_throughput', 'output_throughput', 'total_token_throughput'],
        ...['ttft', 'tpot', 'itl', 'e2el'].flatMap((name) =>
          ['mean', 'median', 'std', 'p90', 'p99'].map((kind) => `${kind}_${name}_ms`),
        ),
        'simulation',
      ]),
    );
    expect(result).toMatchObject({
      completed: 200,
      failed: 0,
      total_input_tokens: 200 * 64,
      total_output_tokens: 200 * 16,
      request_rate: 4,
    });
    expect(result.request_throughput).toBeCloseTo(200 / result.duration, 9);
    expect(result.simulation.pools[0].level).toBe('analytic');
    expect(JSON.stringify(result)).not.toMatch(/"date"/);
  });

  it('says what the GPUs were used for, and what that cost', async () => {
    const line = `${SMALL} --num-instances 2 -tp 2 --price-per-gpu-hour 1.8`;
    const { duration, simulation, total_output_tokens } = await json(line);
    expect(simulation.gpu_seconds).toBeCloseTo(4 * duration, 9);
    expect(simulation.cost.total).toBeCloseTo((simulation.gpu_seconds / 3600) * 1.8, 9);
    const { joules, joules_per_output_token, mean_watts_per_gpu, source } = simulation.energy;
    expect(joules_per_output_token).toBeCloseTo(joules / total_output_tokens, 9);
    expect(mean_watts_per_gpu).toBeGreaterThan(0.12 * 400);
    expect(mean_watts_per_gpu).toBeLessThan(400);
    expect(source).toContain('idle power assumed');
    expect(simulation.mfu).toBeGreaterThan(0);
    expect(simulation.mbu).toBeLessThan(simulation.busy_fraction);
    const { out } = await cli(`simulate ${line}`);
    expect(out).toMatch(/MFU .* MBU/);
    expect(out).toContain('per million output tokens at $1.80 per GPU-hour');
    expect((await json(SMALL)).simulation.cost).toBeNull();
  });

  it('says the same bytes for the same seed, and others for another', async () => {
    const [a, b, c] = await Promise.all([
      cli(`simulate ${SMALL} --seed 3 --json`),
      cli(`simulate ${SMALL} --seed 3 --json`),
      cli(`simulate ${SMALL} --seed 4 --json`),
    ]);
    expect(a.out).toBe(b.out);
    expect(a.out).not.toBe(c.out);
  });

  it('spells flags with _ and -, and knows -tp', async () => {
    const dashes = await json(`${SMALL} --max-num-seqs 3 --tensor-parallel-size 2`);
    const underscores = await json(`${SMALL} --max_num_seqs=3 -tp 2`);
    expect(underscores).toEqual(dashes);
    expect(dashes.simulation.pools[0].options).toMatchObject({
      tensor_parallel_size: 2,
      max_num_seqs: 3,
    });
    expect(dashes.simulation.instances[0].peak_running).toBeLessThanOrEqual(3);
  });

  it('turns engine options off with --no-', async () => {
    const result = await json(`${SMALL} --no-enable-chunked-prefill`);
    expect(result.simulation.pools[0].options.enable_chunked_prefill).toBe(false);
  });

  it('keeps at most --max-concurrency requests in flight', async () => {
    const result = await json(`${ON} --num-prompts 50 --max-concurrency 2 --random-output-len 8`);
    expect(result.completed).toBe(50);
    expect(result.simulation.instances[0].peak_running).toBe(2);
    expect(result.request_rate).toBe('inf');
  });

  it('holds conversations, whose turns find their history in the prefix cache', async () => {
    const talk = `${ON} --num-prompts 20 --request-rate 2 --multi-turn --multi-turn-num-turns 4`;
    const result = await json(`${talk} --multi-turn-delay-ms 1000 --random-output-len 32`);
    expect(result).toMatchObject({ num_prompts: 20, request_rate: 2, completed: 80 });
    expect(result.simulation.multi_turn).toMatchObject({
      min_turns: 4,
      max_turns: 4,
      delay_ms: 1000,
    });
    expect(result.simulation.prefix_hit_fraction).toBeGreaterThan(0.5);
    expect((await json(`${talk} --no-enable-prefix-caching`)).total_input_tokens).toBe(
      (await json(talk)).total_input_tokens,
    );
    expect((await cli(`simulate ${talk}`)).out).toContain(
      '80 requests in conversations of 4 turns',
    );
  });

  it('takes flags over the scenario file', async () => {
    const base = await json('--config examples/scenario.yaml --num-prompts 20');
    expect(base).toMatchObject({ num_prompts: 20, request_rate: 4, completed: 20 });
    expect(base.simulation.seed).toBe(1);
    const changed = await json(
      '--config examples/scenario.yaml --num-prompts 20 --hardware H100 --seed 2',
    );
    expect(changed.simulation.pools[0]).toMatchObject({ hardware: 'H100', engine: /vllm/ });
    expect(changed.simulation.seed).toBe(2);
    expect(changed.simulation.pools[0].options.max_num_seqs).toBe(128);
  });

  it('replays the bundled trace, faster too', async () => {
    const trace = '--trace examples/traces/azure-2023-conversation.csv --num-prompts 100';
    const slow = await json(`${ON} ${trace}`);
    const fast = await json(`${ON} ${trace} --trace-speed 2`);
    expect(slow.completed).toBe(100);
    expect(fast.simulation.offered_request_rate).toBeCloseTo(2 * slow.request_rate, 6);
    expect(fast.total_output_tokens).toBe(slow.total_output_tokens);
  });

  it('saves the result and a row per request, which can be replayed', async () => {
    const [result, rows, csv] = ['r.json', 'rows.jsonl', 'rows.csv'].map((f) => join(folder, f));
    await cli(`simulate ${SMALL} --save-result ${result} --save-requests ${rows}`);
    await cli(`simulate ${SMALL} --save-requests ${csv}`);
    const lines = readFileSync(rows!, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toHaveLength(200);
    expect(Object.keys(lines[0])).toEqual(readFileSync(csv!, 'utf8').split('\n')[0]!.split(','));
    const saved = JSON.parse(readFileSync(result!, 'utf8'));
    const mean = lines.reduce((sum, line) => sum + line.ttft_ms, 0) / 200;
    expect(saved.mean_ttft_ms).toBeCloseTo(mean, 6);
    expect(saved.simulation.quantiles).toBe('exact');
    const replayed = await json(`${ON} --trace ${rows}`);
    expect(replayed.mean_ttft_ms).toBeCloseTo(mean, 3);
  });

  it('counts goodput, and finds the rate that keeps it', async () => {
    const bounds = '--goodput ttft:200 tpot:25';
    const load = `${ON} --num-prompts 2000 --random-input-len 512`;
    const all = await json(`${load} --request-rate 1 ${bounds}`);
    expect(all.request_goodput).toBeCloseTo(all.request_throughput, 9);
    const best = await json(`${load} ${bounds} --find-rate`);
    expect(best.simulation.goodput.good_fraction).toBeGreaterThanOrEqual(0.99);
    const faster = await json(`${load} --request-rate ${best.request_rate * 1.1} ${bounds}`);
    expect(faster.simulation.goodput.good_fraction).toBeLessThan(0.99);
  });

  it('warns when arrivals exceed capacity, and only then', async () => {
    const over = await cli(`simulate ${ON} --num-prompts 2000 --request-rate 100`);
    expect(over.out).toContain('Warning: arrivals exceed capacity: 100 requests/s arrive');
    const once = await cli(`simulate ${ON} --num-prompts 2000`);
    expect(once.out).not.toContain('Warning');
    expect((await cli(`simulate ${SMALL}`)).out).not.toContain('Warning');
  });

  it('compares comma lists in one table, and says which cannot be', async () => {
    const line =
      'simulate --model meta-llama/Llama-3.1-70B-Instruct --hardware A100,H100 -tp 1,2 --num-prompts 20 --request-rate 1';
    const { code, out } = await cli(line);
    expect(code).toBe(0);
    const rows = out.split('\n').filter((row) => /^[AH]100 /.test(row));
    expect(out).toContain('J/token');
    expect(rows.map((row) => row.split(/ +/).slice(0, 3))).toEqual([
      ['A100', '1', '-'],
      ['A100', '2', '2'],
      ['H100', '1', '-'],
      ['H100', '2', '2'],
    ]);
    expect(out).toContain('--tensor-parallel-size 2 would fit');
    const { results } = JSON.parse((await cli(`${line} --json`)).out);
    expect(results[3]).toMatchObject({
      varied: { hardware: 'H100', 'tensor-parallel-size': '2' },
      completed: 20,
    });
  });

  it('explains itself without running', async () => {
    const { code, out } = await cli('simulate --config examples/scenario.yaml --dry-run');
    expect(code).toBe(0);
    expect(out).toContain('− weights');
    expect(out).toMatch(/32 decodes at 1,024 tokens +\d/);
    expect(out).toContain('2,000 requests at 4.00/s');
    const dry = JSON.parse((await cli(`simulate ${ON} --dry-run --json`)).out);
    expect(dry.pools[0].kv.num_blocks).toBeGreaterThan(1000);
  });

  it('reports what was done when it is interrupted', async () => {
    const { code, out, err } = await cli(
      `simulate ${ON} --num-prompts 5000000 --request-rate 8 --random-input-len 64`,
      {
        errIsTerminal: true,
        onInterrupt(stop) {
          setTimeout(stop, 250);
          return () => {};
        },
      },
    );
    expect(code).toBe(130);
    expect(out).toContain('Stopped before its end');
    expect(out).toMatch(/completed, [\d,]+ unfinished|[\d,]+ completed/);
    expect(err).toMatch(/requests done \(.*in flight/);
  });
});
