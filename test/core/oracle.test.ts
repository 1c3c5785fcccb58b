/**
 * The oracle's scheduling, one small world per rule: budget, admission, preemption, blocks, aborts.
 *
 * Unless a test says otherwise: ten blocks of four tokens, sixteen tokens a step. `sched` rows are
 * `[request, tokens, computed before]`. Later rules are in `oracle-modes.test.ts`.
 */

import { describe, expect, it } from 'vitest';
import type { GoldenConfig, StepLine } from '../parity/golden.js';
import { type Ask, small } from '../support/oracle/build.js';
import { replay } from '../support/oracle/replay.js';

const run = (asks: readonly Ask[], config: Partial<GoldenConfig> = {}) =>
  replay({ ...small(asks, config), max_steps: 40 });
const lines = (asks: readonly Ask[], config: Partial<GoldenConfig> = {}) => run(asks, config).lines;
const column = <K extends keyof StepLine>(rows: readonly StepLine[], key: K) =>
  rows.map((row) => row[key]);

describe('the oracle, ten blocks and three requests', () => {
  // Three prompts fill nine blocks; the first two take a fourth block each, so the third gives way.
  const all = run(
    [
      { prompt: 12, out: 6 },
      { prompt: 12, out: 6 },
      { prompt: 12, out: 6 },
    ],
    { max_num_batched_tokens: 64 },
  );

  it('admits all three, preempts the last when blocks run out, and resumes it', () => {
    expect(all.lines[0]).toEqual({
      s: 0,
      add: [0, 1, 2],
      sched: [
        [0, 12, 0],
        [1, 12, 0],
        [2, 12, 0],
      ],
      new: [0, 1, 2],
      free: [1, 1],
      run: [0, 1, 2],
      wait: [],
    });
    expect(all.lines[1]).toEqual({
      s: 1,
      sched: [
        [0, 1, 12],
        [1, 1, 12],
      ],
      pre: [2],
      free: [2, 2],
      run: [0, 1],
      wait: [2],
    });
    expect(all.lines[5]).toMatchObject({ fin: [0, 1], free: [0, 10], wait: [2] });
    expect(all.lines[6]).toMatchObject({ sched: [[2, 13, 0]], res: [2], free: [6, 6] });
  });

  it('sums it up', () => {
    expect(all.summary).toEqual({
      end: 'done',
      calls: 11,
      preemptions: 1,
      peak_blocks: 10,
      req: [
        [0, 'length', 5, 6, 0, 0, 0],
        [1, 'length', 5, 6, 0, 0, 0],
        [2, 'length', 10, 6, 1, 0, 0],
      ],
    });
  });
});

describe('budget and running requests', () => {
  it('rule 1: a request wants what it knows and has not computed; a decode wants one', () => {
    const sched = column(lines([{ prompt: 5, out: 3 }], { max_num_batched_tokens: 3 }), 'sched');
    expect(sched).toEqual([[[0, 3, 0]], [[0, 2, 3]], [[0, 1, 5]], [[0, 1, 6]]]);
  });

  it('rule 2: running requests come before waiting ones', () => {
    const [, second] = lines([
      { prompt: 4, out: 5 },
      { at: 1, prompt: 4, out: 1 },
    ]);
    expect(second?.sched).toEqual([
      [0, 1, 4],
      [1, 4, 0],
    ]);
  });

  it('rule 3: when the budget is gone the rest is left out and keeps running', () => {
    // Held prefill lets three decodes in behind the chunk of request 1, which later takes their tokens.
    const rows = lines(
      [
        { prompt: 3, out: 9 },
        { prompt: 4, out: 2 },
        { at: 1, prompt: 1, out: 9 },
        { at: 1, prompt: 1, out: 9 },
        { at: 1, prompt: 1, out: 9 },
      ],
      { max_num_batched_tokens: 4, prefill_schedule_interval: 3 },
    );
    expect(rows[3]).toMatchObject({
      sched: [
        [0, 1, 5],
        [1, 3, 1],
      ],
      run: [0, 1, 2, 3, 4],
    });
  });

  it('rule 4: a token comes when computed reaches known; the last one never gets KV', () => {
    const { lines: rows, summary } = run([{ prompt: 4, out: 2 }]);
    expect(column(rows, 'sched')).toEqual([[[0, 4, 0]], [[0, 1, 4]]]);
    expect(column(rows, 'free')).toEqual([
      [9, 9],
      [8, 10],
    ]);
    expect(summary.req).toEqual([[0, 'length', 1, 2, 0, 0, 0]]);
  });

  it('rule 5: a threshold cuts prompts, unless one is alone; adaptive shares the budget', () => {
    const asks: Ask[] = [
      { prompt: 14, out: 1 },
      { prompt: 14, out: 1 },
    ];
    const threshold = { long_prefill_token_threshold: 3 };
    expect(lines(asks.slice(1), threshold)[0]?.sched).toEqual([[0, 14, 0]]);
    expect(lines(asks, threshold)[0]?.sched).toEqual([
      [0, 3, 0],
      [1, 3, 0],
    ]);
    const adaptive = { ...threshold, long_prefill_token_threshold_adaptive: true };
    expect(lines(asks, adaptive)[0]?.sched).toEqual([
      [0, 8, 0],
      [1, 8, 0],
    ]);
    const off = { long_prefill_token_threshold: 0, long_prefill_token_threshold_adaptive: true };
    expect(lines(asks, off)[0]?.sched).toEqual([
      [0, 14, 0],
      [1, 2, 0],
    ]);
  });

  it('rule 6: a request ends at max_tokens or at max_model_len, in batch order', () => {
    const { lines: rows, summary } = run(
      [
        { prompt: 5, out: 10 },
        { prompt: 2, out: 3 },
      ],
      { max_model_len: 8 },
    );
    expect(summary.req.map((row) => row[3])).toEqual([3, 3]);
    expect(rows.at(-1)?.fin).toEqual([0, 1]);
  });
});

describe('admission', () => {
  it('rule 7: the scan stops at the first head that cannot be admitted', () => {
    const asks: Ask[] = [
      { prompt: 4, out: 6 },
      { prompt: 37, out: 1 },
      { prompt: 1, out: 1 },
    ];
    expect(lines(asks)[0]).toMatchObject({ sched: [[0, 4, 0]], wait: [1, 2] });
    const fits: Ask[] = [{ prompt: 4, out: 6 }, { prompt: 2, out: 2 }, ...asks.slice(2)];
    expect(lines(fits, { max_num_seqs: 2 })[0]).toMatchObject({ run: [0, 1], wait: [2] });
    expect(lines(fits, { max_num_active_seqs: 1 })[0]).toMatchObject({ run: [0], wait: [1, 2] });
    expect(lines(fits, { max_num_batched_tokens: 6 })[0]).toMatchObject({ wait: [2] });
  });

  it('rule 8: a call that preempts admits nobody', () => {
    const rows = lines(
      [
        { prompt: 12, out: 6 },
        { prompt: 12, out: 6 },
        { prompt: 12, out: 6 },
        { at: 1, prompt: 1, out: 1 },
      ],
      { max_num_batched_tokens: 64 },
    );
    expect(rows[1]).toMatchObject({ pre: [2], free: [2, 2], run: [0, 1], wait: [2, 3] });
  });

  it('rule 9: without chunked prefill a prompt waits until the budget holds all of it', () => {
    const asks: Ask[] = [
      { prompt: 10, out: 1 },
      { prompt: 8, out: 1 },
    ];
    const whole = { enable_chunked_prefill: false };
    expect(column(lines(asks, whole), 'sched')).toEqual([[[0, 10, 0]], [[1, 8, 0]]]);
    // The threshold is applied before the test, so it still cuts.
    const cut = { ...whole, long_prefill_token_threshold: 6 };
    expect(lines(asks, cut)[0]?.sched).toEqual([
      [0, 6, 0],
      [1, 6, 0],
    ]);
  });

  it('rule 10: the gate wants room for the whole prompt, but reserves none', () => {
    const asks: Ask[] = [
      { prompt: 20, out: 3 },
      { prompt: 24, out: 2 },
    ];
    const gate = { max_num_batched_tokens: 22 };
    expect(lines(asks, gate)[0]).toMatchObject({ sched: [[0, 20, 0]], wait: [1] });
    const off = { ...gate, scheduler_reserve_full_isl: false };
    expect(lines(asks, off)[0]).toMatchObject({ new: [0, 1], free: [4, 4] });
    // In chunks both pass the gate, although eleven blocks will be needed.
    const chunks = { long_prefill_token_threshold: 8 };
    expect(column(lines(asks, chunks).slice(0, 3), 'pre')).toEqual([undefined, undefined, [1]]);
  });

  it('rule 11: only the blocks of the chunk are taken', () => {
    const [first] = lines([{ prompt: 40, out: 1 }], { max_num_batched_tokens: 5 });
    expect(first).toMatchObject({ sched: [[0, 5, 0]], free: [8, 8] });
  });

  it('rule 12: the watermark counts for admissions beside others only', () => {
    const watermark = { watermark: 0.2, max_num_batched_tokens: 64 };
    const beside: Ask[] = [
      { prompt: 4, out: 4 },
      { prompt: 36, out: 2 },
    ];
    expect(lines(beside, watermark)[0]).toMatchObject({ run: [0], wait: [1] });
    expect(lines(beside.slice(1), watermark)[0]).toMatchObject({ run: [0], free: [1, 1] });
  });

  it('rule 13: a resumed request joins at the tail, ahead of those that came later', () => {
    const rows = lines(
      [
        { prompt: 12, out: 6 },
        { prompt: 12, out: 6 },
        { prompt: 12, out: 6 },
        { at: 1, prompt: 4, out: 2 },
      ],
      { max_num_batched_tokens: 64 },
    );
    expect(rows[6]).toMatchObject({ new: [3], res: [2], run: [2, 3] });
  });

  it('rule 14: a prompt that can never fit blocks all behind it', () => {
    const { lines: rows, summary } = run([
      { prompt: 44, out: 1 },
      { prompt: 1, out: 1 },
    ]);
    expect(summary.end).toBe('stuck');
    expect(rows.map(({ sched, wait }) => [sched, wait])).toEqual([
      [[], [0, 1]],
      [[], [0, 1]],
      [[], [0, 1]],
    ]);
  });
});

describe('preemption', () => {
  const urgentLast: Ask[] = [
    { prompt: 16, out: 6, prio: 2 },
    { at: 1, prompt: 20, out: 6, prio: 0 },
  ];
  const priority = { policy: 'priority', max_num_batched_tokens: 64 } as const;

  it('rule 15: fcfs takes the tail, priority the least urgent', () => {
    const asks: Ask[] = [
      { prompt: 12, out: 6, prio: 1 },
      { prompt: 12, out: 6 },
      { prompt: 12, out: 6 },
    ];
    expect(lines(asks, { max_num_batched_tokens: 64 })[1]?.pre).toEqual([2]);
    expect(lines(asks, priority)[1]?.pre).toEqual([0]);
  });

  it('rule 16: a victim loses its blocks, keeps its outputs, and waits in front', () => {
    const rows = lines(
      [
        { prompt: 20, out: 6 },
        { prompt: 18, out: 6 },
        { at: 1, prompt: 1, out: 1 },
      ],
      { max_num_batched_tokens: 64 },
    );
    expect(rows[1]).toMatchObject({ pre: [1], free: [4, 4], wait: [1, 2] });
    expect(rows[6]?.sched).toEqual([
      [1, 19, 0],
      [2, 1, 0],
    ]);
  });

  it('rule 17: fcfs: who is the tail itself preempts itself', () => {
    const [, second] = lines(
      [
        { prompt: 16, out: 6 },
        { prompt: 20, out: 6 },
      ],
      { max_num_batched_tokens: 64 },
    );
    expect(second).toMatchObject({ sched: [[0, 1, 16]], pre: [1], free: [5, 5] });
  });

  it('rule 18: priority: a victim already scheduled leaves the batch', () => {
    const rows = lines(urgentLast, priority);
    expect(rows[1]?.sched).toEqual([
      [0, 1, 16],
      [1, 20, 0],
    ]);
    expect(rows[2]).toMatchObject({ sched: [[1, 1, 20]], pre: [0], free: [4, 4] });
  });

  it('rule 18: its tokens go back to the budget for those still to come', () => {
    const rows = lines(
      [
        { prompt: 12, out: 9, prio: 2 },
        { at: 3, prompt: 3, out: 9, prio: 0 },
        { at: 4, prompt: 12, out: 9, prio: 1 },
      ],
      {
        ...priority,
        max_num_batched_tokens: 4,
        num_gpu_blocks: 7,
        scheduler_reserve_full_isl: false,
      },
    );
    expect(rows[4]?.sched).toEqual([
      [0, 1, 13],
      [1, 1, 3],
      [2, 2, 0],
    ]);
    // Request 1 needs a block and none is free: the chunk of request 2 grows by the token of request 0.
    expect(rows[5]).toMatchObject({
      sched: [
        [1, 1, 4],
        [2, 3, 2],
      ],
      pre: [0],
      free: [2, 2],
    });
  });

  it('rule 19: a resumed request computes prompt and outputs as one prompt', () => {
    const resumed = lines(urgentLast, priority).find(({ res }) => res);
    expect(resumed).toMatchObject({ s: 7, sched: [[0, 18, 0]], res: [0] });
  });

  it('rule 20: the queue is ordered by urgency; nobody is preempted for a slot', () => {
    const rows = lines(
      [
        { prompt: 4, out: 3, prio: 2 },
        { at: 1, prompt: 4, out: 2, prio: 1 },
        { at: 1, prompt: 4, out: 2, prio: 0 },
      ],
      { policy: 'priority', max_num_seqs: 1 },
    );
    expect(rows[1]).toMatchObject({ sched: [[0, 1, 4]], wait: [2, 1] });
    expect(rows[3]).toMatchObject({ new: [2], wait: [1] });
  });
});

describe('blocks', () => {
  it('rule 21: block 0 is never used', () => {
    const rows = lines([{ prompt: 1, out: 1 }], { num_gpu_blocks: 2 });
    expect(column(rows, 'free')).toEqual([[0, 1]]);
  });

  it('rule 22: a decode needs a block when computed is a multiple of the block size', () => {
    const rows = lines([{ prompt: 7, out: 7 }]);
    const before = rows.map(({ sched, free }) => [sched?.[0]?.[2], free?.[0]]);
    expect(before).toEqual([
      [0, 8],
      [7, 8],
      [8, 7],
      [9, 7],
      [10, 7],
      [11, 7],
      [12, 6],
    ]);
  });

  it('rule 23: blocks are used uncached first, then least recently freed, tails before heads', () => {
    const rows = lines(
      [
        { prompt: [[1, 18]], out: 1 },
        { at: 1, prompt: [[2, 8]], out: 1 },
        { at: 2, prompt: [[1, 18]], out: 1 },
        { at: 3, prompt: [[3, 38]], out: 1 },
      ],
      { enable_prefix_caching: true, max_num_batched_tokens: 64 },
    );
    // Four blocks without content go first; request 2 used the blocks of request 0 again.
    expect(rows[3]?.evict).toEqual([
      [1, 1],
      [1, 0],
      [0, 3],
      [0, 2],
      [0, 1],
      [0, 0],
    ]);
  });

  it('rule 24: a freed block keeps its content until it is used for something else', () => {
    const rows = lines(
      [
        { prompt: 8, out: 1 },
        { at: 1, prompt: 40, out: 1 },
      ],
      { enable_prefix_caching: true, max_num_batched_tokens: 64 },
    );
    expect(rows[0]).toMatchObject({ free: [8, 10], cached: [2, 2] });
    expect(rows[1]).toMatchObject({
      evict: [
        [0, 1],
        [0, 0],
      ],
      cached: [10, 10],
    });
  });
});

describe('aborts', () => {
  it('rule 32: blocks are free at once; during a step the token is dropped', () => {
    const { lines: rows, summary } = run([
      { prompt: 4, out: 6, abort: [2, 'during'] },
      { prompt: 4, out: 9, abort: [3, 'before'] },
    ]);
    expect(rows[2]).toEqual({
      s: 2,
      sched: [
        [0, 1, 5],
        [1, 1, 5],
      ],
      abort2: [0],
      free: [6, 8],
      run: [1],
      wait: [],
    });
    expect(rows[3]).toEqual({ s: 3, abort: [1], free: [10, 10], run: [], wait: [] });
    expect(summary.req).toEqual([
      [0, 'abort', 2, 2, 0, 0, 0],
      [1, 'abort', 3, 3, 0, 0, 0],
    ]);
  });
});
