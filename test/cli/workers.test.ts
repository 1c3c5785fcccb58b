import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { after, likely, type Search } from '../../src/cli/find-rate.js';
import { numWorkersOf } from '../../src/cli/workers/num-workers.js';
import { DEFAULT_LENGTHS } from '../../src/core/workload/load.js';
import { cli } from './run-cli.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'workers-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const ON = '--model qwen/Qwen3-8B --hardware A100 --random-output-len 16';
/** Threads start through tsx here, which takes a second or two. */
const SLOW = { timeout: 60_000 };

describe('comma lists on several cores', SLOW, () => {
  it('say the same bytes as on one, refusals included', async () => {
    const line =
      'simulate --model meta-llama/Llama-3.1-70B-Instruct --hardware H100 -tp 1,2,4 --num-prompts 30 --request-rate 1,2 --goodput ttft:300';
    const [one, two] = [await cli(`${line} --workers 1`), await cli(`${line} --workers 2`)];
    expect(two).toEqual(one);
    expect(one.code).toBe(0);
    expect(one.out.split('\n').filter((row) => /^[124] /.test(row))).toHaveLength(6);
  });

  it('stop when interrupted, and report what was done', async () => {
    const line = `simulate ${ON} --request-rate 4,8 --num-prompts 50000000 --workers 2`;
    const { code, out } = await cli(line, {
      onInterrupt(stop) {
        setTimeout(stop, 1500);
        return () => {};
      },
    });
    expect(code).toBe(130);
    expect(out).toBe('Stopped before any of the runs had ended.\n');
  });

  it('refuse as one does when a file turns out to be wrong on the way', async () => {
    const trace = join(folder, 'trace.csv');
    const good = '2023-11-16 18:15:46.6805900,374,44\n'.repeat(3);
    writeFileSync(trace, `TIMESTAMP,ContextTokens,GeneratedTokens\n${good}nonsense,1,2\n`);
    const line = `simulate ${ON} --hardware A100,H100 --trace ${trace}`;
    const [one, two] = [await cli(`${line} --workers 1`), await cli(`${line} --workers 2`)];
    expect(one.code).toBe(1);
    expect(two).toEqual(one);
  });
});

describe('a rate search on several cores', SLOW, () => {
  it('says the same bytes as on one', async () => {
    const line = `simulate ${ON} --num-prompts 200 --random-input-len 512 --goodput ttft:200 tpot:25 --find-rate`;
    const [one, three] = [await cli(`${line} --workers 1`), await cli(`${line} --workers 3`)];
    expect(one.out).toContain('Highest rate with 99 % good requests');
    expect(three).toEqual(one);
  });

  it('starts what it may need next: the next probe is always among them', () => {
    const search = fc
      .tuple(
        fc.double({ min: 0.01, max: 100, noNaN: true }),
        fc.double({ min: 1, max: 4, noNaN: true }),
      )
      .map(([low, factor]): Search => ({ low, high: low * factor ** 2, scale: low * factor }));
    fc.assert(
      fc.property(search, fc.boolean(), (state, good) => {
        const scales = likely(state, 3);
        expect(scales[0]).toBe(state.scale);
        const next = after(state, good);
        if (next) expect(scales).toContain(next.scale);
      }),
    );
  });
});

describe('the number of threads', () => {
  const load = (numPrompts: number) => ({
    source: { kind: 'random' as const, ...DEFAULT_LENGTHS },
    numPrompts,
  });

  it('is what was asked for, at most one per run', () => {
    expect(numWorkersOf({ workers: '3' }, 8, load(10))).toBe(3);
    expect(numWorkersOf({ workers: '3' }, 2, load(10))).toBe(2);
    expect(() => numWorkersOf({ workers: '0' }, 2, load(10))).toThrow(/--workers: expected/);
  });

  it('is one for little work, and at least one for much', () => {
    expect(numWorkersOf({}, 8, load(100))).toBe(1);
    expect(numWorkersOf({}, 8, load(1e6))).toBeGreaterThanOrEqual(1);
  });
});
