/** Measured tables from the command line: imported, checked, written, and used. */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { cli } from './run-cli.js';

const folder = mkdtempSync(join(tmpdir(), 'tables-'));
afterAll(() => rmSync(folder, { recursive: true }));

const FIXTURES = 'test/fixtures/perf-tables';
const BUNDLE = `${FIXTURES}/llmservingsim/H100`;
const POOL = '--model qwen/Qwen3-8B --hardware H100';
const TABLE = join(folder, 'Qwen3-8B_H100_tp1.csv');

async function importBundle(): Promise<string> {
  const { out } = await cli(`setup-perf --import ${BUNDLE} --out ${folder}`);
  return out;
}

describe('setup-perf --import', () => {
  it('writes a table for each tensor-parallel size, and says what is in it', async () => {
    const out = await importBundle();
    expect(out).toMatch(/^qwen\/Qwen3-8B on H100, vllm 0\.19\.0, bfloat16: 23 points$/m);
    expect(out).toMatch(/^ {2}qkv_projection +2 +tokens 1–1,024 +– +– /m);
    expect(existsSync(TABLE)).toBe(true);
    expect(existsSync(join(folder, 'Qwen3-8B_H100_tp2.csv'))).toBe(true);
  });

  it('only shows without --out, and one size where it is asked for', async () => {
    const { out } = await cli(`setup-perf --import ${BUNDLE} -tp 2 --json`);
    const tables = JSON.parse(out) as { tensor_parallel_size: number; file: string | null }[];
    expect(tables.map(({ tensor_parallel_size, file }) => [tensor_parallel_size, file])).toEqual([
      [2, null],
    ]);
  });

  it('asks for what the files do not say', async () => {
    const { code, err } = await cli(`setup-perf --import ${FIXTURES}/steps --hardware H100`);
    expect([code, err]).toEqual([
      1,
      'error: --model: expected a name: the files do not say what was measured, got nothing\n',
    ]);
  });

  it('names the sizes there are', async () => {
    const { err } = await cli(`setup-perf --import ${BUNDLE} -tp 4`);
    expect(err).toMatch(/--tensor-parallel-size: expected one that was measured: 1,2, got 4/);
  });
});

describe('setup-perf --out', () => {
  it('writes the analytic model, which --check finds no difference in', async () => {
    const path = join(folder, 'analytic.csv');
    expect((await cli(`setup-perf ${POOL} --out ${path}`)).code).toBe(0);
    const { code, out } = await cli(`setup-perf --check ${path} --json`);
    const [table] = JSON.parse(out);
    expect(code).toBe(0);
    expect(table.operators.map((o: { operator: string }) => o.operator)).toContain('attention');
    for (const { p90_percent, num_falls, num_faster_than_physics } of table.operators) {
      expect(p90_percent).toBeLessThan(1e-5);
      expect([num_falls, num_faster_than_physics]).toEqual([0, 0]);
    }
  });

  it('needs to know of what, and where several fit', async () => {
    expect((await cli(`setup-perf --model qwen/Qwen3-8B --out ${folder}`)).err).toMatch(
      /--hardware: expected a name/,
    );
    expect(
      (await cli(`setup-perf --model qwen/Qwen3-8B --hardware H100,A100 --out ${folder}/x.csv`))
        .err,
    ).toMatch(/--out: expected a folder: there are several tables/);
    expect((await cli('setup-perf --quantization fp8')).err).toMatch(
      /--quantization: expected --out DIR beside it/,
    );
    expect((await cli(`setup-perf --check x --import y`)).err).toMatch(
      /--check: expected no --import beside it/,
    );
  });
});

describe('setup-perf --help', () => {
  it('names the formats', async () => {
    const { out } = await cli('setup-perf --help');
    for (const name of ['llmservingsim', 'vidur', 'steps', '--import', '--check', '--out'])
      expect(out).toContain(name);
  });
});

describe('--perf-table', () => {
  it('gives a run measured times, the same bytes each time, and says so', async () => {
    await importBundle();
    const line = `simulate ${POOL} --perf-table ${TABLE} --num-prompts 20 --request-rate 4 --json`;
    const { code, out } = await cli(line);
    const [pool] = JSON.parse(out).simulation.pools;
    expect(code).toBe(0);
    expect([pool.level, pool.expected_errors]).toEqual(['table', []]);
    expect(pool.notes.join('\n')).toMatch(
      /measured \(qwen\/Qwen3-8B on H100, vllm 0\.19\.0; 23 points\)/,
    );
    expect((await cli(line)).out).toBe(out);
    expect((await cli(line.replace(`--perf-table ${TABLE} `, ''))).out).not.toBe(out);
  });

  it('shows the source of each operator', async () => {
    await importBundle();
    const { out } = await cli(`explain ${POOL} --perf-table ${TABLE} --batch decode=64@1024`);
    expect(out).toMatch(/^ {2}QKV projection .* measured$/m);
    expect(out).toMatch(/^ {2}attention .* measured$/m);
    expect(out).toMatch(/^ {2}gaps between kernels .* analytic$/m);
    const json = JSON.parse(
      (await cli(`explain ${POOL} --perf-table ${TABLE} --batch prefill=2000 --json`)).out,
    );
    expect(json.pools[0].operators[0]).toMatchObject({
      name: 'QKV projection',
      source: 'extrapolated',
    });
  });

  it('stands in a scenario file too', async () => {
    await importBundle();
    const path = join(folder, 's.yaml');
    writeFileSync(
      path,
      `pools:\n  - { model: qwen/Qwen3-8B, hardware: H100, perf_table: ${TABLE} }\n`,
    );
    const { out } = await cli(`explain --config ${path} --json`);
    expect(JSON.parse(out).pools[0].level).toBe('table');
    writeFileSync(
      path,
      'pools:\n  - { model: qwen/Qwen3-8B, hardware: H100, perf_table: nowhere.csv }\n',
    );
    expect((await cli(`explain --config ${path}`)).err).toMatch(
      /s\.yaml: pools\[0\]\.perf_table: expected a readable file, got "no such file: nowhere\.csv"/,
    );
  });

  it('refuses a table of something else, and says what it holds', async () => {
    await importBundle();
    const { code, err } = await cli(
      `simulate --model qwen/Qwen3-8B --hardware A100 --perf-table ${TABLE}`,
    );
    expect(code).toBe(1);
    expect(err).toMatch(
      /_tp1\.csv: hardware: expected a table of A100, as this pool has it, got "H100"\nIt holds qwen\/Qwen3-8B on H100/,
    );
  });

  it('takes a table of fp8 for a checkpoint in blocks, which is what fp8 is of it', async () => {
    const path = join(folder, 'blocks.csv');
    const flags = '--model deepseek-ai/DeepSeek-V3 --hardware H200 -tp 8';
    expect((await cli(`setup-perf ${flags} --out ${path}`)).code).toBe(0);
    const text = readFileSync(path, 'utf8');
    expect(text).toContain('fp8_block');
    writeFileSync(path, text.replaceAll('fp8_block', 'fp8'));
    const { code, out } = await cli(`explain ${flags} --perf-table ${path} --json`);
    expect(code).toBe(0);
    expect(JSON.parse(out).pools[0].level).toBe('table');
  });

  it('keeps a calibration for what is not measured', async () => {
    await importBundle();
    const calibration = join(folder, 'c.json');
    const coefficients = {
      step_offset_ms: 1,
      per_sequence_ms: 0,
      bandwidth_factor: 1,
      flop_factor: 1,
      input_latency_ms: 0,
    };
    writeFileSync(calibration, JSON.stringify({ fitted_on: 'x', coefficients, errors: [] }));
    const ms = async (flags: string) => {
      const { out } = await cli(
        `explain ${POOL} --perf-table ${TABLE} ${flags} --batch decode=1@16 --json`,
      );
      return JSON.parse(out).pools[0].duration_ms as number;
    };
    expect((await ms(`--calibration ${calibration}`)) - (await ms(''))).toBeCloseTo(1, 6);
  });

  it('is nothing for calibrate', async () => {
    await importBundle();
    const { err } = await cli(
      `calibrate ${POOL} --perf-table ${TABLE} --observed ${FIXTURES}/steps/steps.csv`,
    );
    expect(err).toMatch(
      /--perf-table: expected nothing here: what is fitted is the analytic model/,
    );
  });
});

describe('a table of whole steps', () => {
  it('is imported and used', async () => {
    const { code } = await cli(
      `setup-perf --import ${FIXTURES}/steps ${POOL} --engine vllm --out ${folder}/steps.csv`,
    );
    expect(code).toBe(0);
    expect(readFileSync(`${folder}/steps.csv`, 'utf8')).toContain('step,,,,,0,32,0,1024,11000\n');
    const { out } = await cli(
      `explain ${POOL} --perf-table ${folder}/steps.csv --batch decode=32@1024 --json`,
    );
    expect(JSON.parse(out).pools[0].duration_ms).toBeCloseTo(11, 6);
  });
});
