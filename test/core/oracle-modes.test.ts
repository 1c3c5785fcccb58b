/**
 * The oracle's modes, one small world per rule: prefix cache, asynchronous steps, speculation, cadence.
 *
 * Unless a test says otherwise: ten blocks of four tokens, sixteen tokens a step.
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

const CACHE = { enable_prefix_caching: true, max_num_batched_tokens: 64 };
const ASYNC = { async_scheduling: true };
const NGRAM = { num_speculative_tokens: 2, spec_method: 'ngram' } as const;
const EAGLE = { num_speculative_tokens: 2, spec_method: 'eagle' } as const;

describe('prefix cache', () => {
  it('rule 25: whole blocks only, and with all blocks before them', () => {
    const rows = lines(
      [
        { prompt: [[1, 9]], out: 1 },
        {
          prompt: [
            [1, 7],
            [2, 2],
          ],
          out: 1,
        },
        {
          prompt: [
            [2, 4],
            [1, 5, 4],
          ],
          out: 1,
        },
      ],
      CACHE,
    );
    expect(rows[0]?.hit).toEqual([
      [0, 0, 9],
      [1, 4, 9],
      [2, 0, 9],
    ]);
  });

  it('rule 26: a block is cached when it is scheduled, so the same call already hits it', () => {
    const asks = [1, 1].map((seed): Ask => ({ prompt: [[seed, 9]], out: 1 }));
    expect(lines(asks, CACHE)[0]).toMatchObject({
      sched: [
        [0, 9, 0],
        [1, 1, 8],
      ],
      cached: [2, 2],
    });
  });

  it('rule 27: the last token is always computed, at a boundary the whole last block', () => {
    const asks: Ask[] = [
      { prompt: [[1, 8]], out: 1 },
      { at: 1, prompt: [[1, 8]], out: 1 },
    ];
    expect(lines(asks, CACHE)[1]).toMatchObject({ sched: [[1, 4, 4]], hit: [[1, 4, 8]] });
  });

  it('rule 28: a hit block is shared; a free one leaves the free list', () => {
    const asks: Ask[] = [
      { prompt: [[1, 9]], out: 2 },
      { prompt: [[1, 9]], out: 1 },
      { at: 3, prompt: [[1, 9]], out: 1 },
    ];
    // Two blocks shared and one each; then two hit on the free list and one more.
    expect(column(lines(asks, CACHE), 'free')).toEqual([
      [6, 7],
      [7, 10],
      [7, 10],
    ]);
  });

  it('rule 29: equal contents may sit in several blocks; the first cached is the hit', () => {
    const rows = lines(
      [
        { prompt: [[1, 8]], out: 1 },
        { prompt: [[1, 8]], out: 1 },
        { at: 1, prompt: 36, out: 1 },
      ],
      CACHE,
    );
    expect(rows[0]).toMatchObject({ free: [7, 10], cached: [2, 2] });
    // Nine blocks: seven without content, then both copies of the second block.
    expect(rows[1]?.evict).toEqual([
      [0, 1],
      [0, 1],
    ]);
  });

  it('rule 30: full blocks stay; the one only the last token would fill is not cached', () => {
    const turn = (answer: number): Ask[] => [
      { prompt: [[1, 6]], out: answer },
      {
        at: 4,
        prompt: [
          [1, 6],
          [1000, answer],
          [5, 2],
        ],
        out: 1,
      },
    ];
    expect(lines(turn(2), CACHE).at(-1)?.hit).toEqual([[1, 4, 10]]);
    expect(lines(turn(3), CACHE).at(-1)?.hit).toEqual([[1, 8, 11]]);
  });

  it('rule 31: admissions are counted, failed attempts are not', () => {
    const { summary } = run(
      [
        { prompt: 12, out: 6 },
        { prompt: 12, out: 6 },
        { prompt: 12, out: 6 },
      ],
      CACHE,
    );
    expect(summary.prefix).toEqual({
      queries: 36,
      hits: 0,
      requests: 3,
      preempted_queries: 13,
      preempted_hits: 0,
      preempted_requests: 1,
    });
  });
});

describe('asynchronous mode', () => {
  it('rule 33: decodes go on one per step, tokens come one step later', () => {
    const rows = lines([{ prompt: 4, out: 3 }], ASYNC);
    expect(rows.map(({ sched, upd, out }) => [sched, upd, out])).toEqual([
      [[[0, 4, 0]], undefined, undefined],
      [[[0, 1, 4]], 0, [[0, 1]]],
      [[[0, 1, 5]], 1, [[0, 1]]],
      [[], 2, [[0, 1]]],
      [undefined, 3, undefined],
    ]);
  });

  it('rule 34: no step is wasted at the end; the slot is held one step longer', () => {
    const rows = lines(
      [
        { prompt: 4, out: 2 },
        { prompt: 4, out: 2 },
      ],
      { ...ASYNC, max_num_seqs: 1 },
    );
    expect(column(rows, 'sched').slice(0, 4)).toEqual([[[0, 4, 0]], [[0, 1, 4]], [], [[1, 4, 0]]]);
  });

  it('rule 34: who computes again after a preemption, with nothing in flight, goes to the end', () => {
    const { lines: rows, summary } = run(
      [
        { prompt: 16, out: 8 },
        { prompt: 19, out: 3 },
      ],
      { ...ASYNC, max_num_batched_tokens: 20 },
    );
    const resumed = rows.findIndex(({ res }) => res);
    expect(column(rows.slice(resumed, resumed + 2), 'sched')).toEqual([[[1, 20, 0]], [[1, 1, 20]]]);
    expect(summary.end).toBe('done');
  });

  it('rule 35: a block is cached when the token that completes it has been delivered', () => {
    const rows = lines([{ prompt: 6, out: 7 }], { ...CACHE, ...ASYNC });
    // Two blocks when computed is 9; the third in the last update, when nothing is in flight.
    expect(column(rows, 'cached')).toEqual([
      [1, 1],
      [1, 1],
      [1, 1],
      [2, 2],
      [2, 2],
      [2, 2],
      [2, 2],
      [2, 3],
      [3, 3],
    ]);
  });

  it('rule 36: who is preempted with a token in flight still gets it', () => {
    const { lines: rows, summary } = run(
      [
        { prompt: 20, out: 2 },
        { prompt: 19, out: 2 },
      ],
      { ...ASYNC, max_num_batched_tokens: 64 },
    );
    expect(rows[1]).toMatchObject({
      pre: [1],
      out: [
        [0, 1],
        [1, 1],
      ],
      wait: [1],
    });
    expect(rows[3]?.sched).toEqual([[1, 20, 0]]);
    expect(summary.req[1]).toEqual([1, 'length', 4, 2, 1, 0, 1]);
  });

  it('rule 36: a victim that only waits for its last token ends from the waiting queue', () => {
    const rows = lines(
      [
        { prompt: 20, out: 4 },
        { prompt: 20, out: 1 },
      ],
      { ...ASYNC, max_num_batched_tokens: 64 },
    );
    expect(rows[1]).toMatchObject({ sched: [[0, 1, 20]], pre: [1], fin: [1], wait: [] });
  });

  it('rule 37: output for a request that has ended is dropped', () => {
    const rows = lines([{ prompt: 4, out: 9, abort: [2, 'during'] }], ASYNC);
    expect(rows[2]).toMatchObject({ abort2: [0], upd: 1, free: [8, 10] });
    expect(column(rows, 'out')).toEqual([undefined, [[0, 1]], undefined, undefined]);
  });
});

describe('speculative decoding', () => {
  it('rule 38: drafts are part of what is wanted; what the budget cuts off is dropped', () => {
    const asks: Ask[] = [{ prompt: 4, out: 8 }];
    expect(lines(asks, NGRAM)[1]).toMatchObject({ sched: [[0, 3, 4]], drafts: [[0, 2]] });
    const cut = { ...NGRAM, max_num_batched_tokens: 2 };
    expect(lines(asks, cut)[2]).toMatchObject({ sched: [[0, 2, 4]], drafts: [[0, 1]] });
  });

  it('rule 39: rejected drafts are taken back, tokens after the stop thrown away', () => {
    const rows = lines([{ prompt: 4, out: 6 }], NGRAM);
    expect(rows.map(({ sched, acc, out }) => [sched?.[0]?.[2], acc, out])).toEqual([
      [0, undefined, [[0, 1]]],
      [4, [[0, 0]], [[0, 1]]],
      [5, [[0, 2]], [[0, 3]]],
      [8, [[0, 2]], [[0, 1]]],
    ]);
  });

  it('rule 40: eagle takes lookahead blocks, ngram does not', () => {
    const asks: Ask[] = [{ prompt: 4, out: 2 }];
    expect(column(lines(asks, NGRAM), 'free')).toEqual([
      [9, 9],
      [8, 10],
    ]);
    expect(column(lines(asks, EAGLE), 'free')).toEqual([
      [8, 8],
      [7, 10],
    ]);
  });

  it('rule 40: the gate does not count lookahead blocks', () => {
    expect(lines([{ prompt: 40, out: 1 }], EAGLE)[0]?.sched).toEqual([[0, 16, 0]]);
  });

  it('rule 41: a draft model costs every scheduled request one slot more', () => {
    const rows = lines(
      [
        { prompt: 4, out: 2 },
        { prompt: 5, out: 2 },
      ],
      { num_speculative_tokens: 2, spec_method: 'draft_model', max_num_batched_tokens: 10 },
    );
    expect(rows[0]?.sched).toEqual([
      [0, 4, 0],
      [1, 4, 0],
    ]);
  });

  it('rule 42: with drafts, the update caches what became known, except by the last token', () => {
    const rows = lines([{ prompt: 6, out: 6 }], { ...CACHE, ...NGRAM });
    expect(column(rows, 'cached')).toEqual([
      [1, 1],
      [1, 1],
      [2, 2],
      [2, 2],
    ]);
  });

  it('rule 43: an admission with one token to compute is padded beside running requests', () => {
    const rows = lines(
      [
        { prompt: 4, out: 9 },
        { at: 1, prompt: 1, out: 2 },
      ],
      NGRAM,
    );
    expect(rows[1]).toMatchObject({
      sched: [
        [0, 3, 4],
        [1, 3, 0],
      ],
      drafts: [
        [0, 2],
        [1, 2],
      ],
      acc: [
        [0, 0],
        [1, 0],
      ],
    });
    expect(lines([{ prompt: 1, out: 2 }], NGRAM)[0]?.sched).toEqual([[0, 1, 0]]);
  });

  it('rule 43: padding looks at running requests, not at other admissions', () => {
    const alone: Ask[] = [
      { prompt: 4, out: 9 },
      { prompt: 1, out: 2 },
    ];
    expect(lines(alone, NGRAM)[0]?.sched).toEqual([
      [0, 4, 0],
      [1, 1, 0],
    ]);
    const beside: Ask[] = [{ prompt: 2, out: 9 }, ...alone.map((ask) => ({ ...ask, at: 1 }))];
    expect(lines(beside, NGRAM)[1]?.sched).toEqual([
      [0, 3, 2],
      [1, 4, 0],
      [2, 3, 0],
    ]);
  });

  it('rule 43: nothing is padded past max_model_len', () => {
    const asks: Ask[] = [
      { prompt: 1, out: 9 },
      { at: 1, prompt: 1, out: 2 },
    ];
    const padded = (max_model_len: number) => lines(asks, { ...NGRAM, max_model_len })[1]?.sched;
    expect(padded(4)?.[1]).toEqual([1, 3, 0]);
    expect(padded(3)?.[1]).toEqual([1, 1, 0]);
  });

  it('rule 44: with eagle a block can be found only when the token after it is known', () => {
    const asks: Ask[] = [
      { prompt: [[1, 8]], out: 2 },
      { prompt: [[1, 9]], out: 2 },
    ];
    // Plain, request 1 would hit both blocks: the second is followed by an unknown token here.
    expect(lines(asks, { ...CACHE, ...NGRAM })[0]?.hit).toEqual([
      [0, 0, 8],
      [1, 8, 9],
    ]);
    expect(lines(asks, { ...CACHE, ...EAGLE })[0]).toMatchObject({
      hit: [
        [0, 0, 8],
        [1, 4, 9],
      ],
      cached: [2, 3],
    });
  });
});

describe('cadence', () => {
  const every3 = { prefill_schedule_interval: 3 };

  it('rule 45: prefill is held for N - 1 steps while something decodes', () => {
    const rows = lines(
      [
        { prompt: 4, out: 6 },
        { at: 1, prompt: 4, out: 2 },
      ],
      every3,
    );
    expect(column(rows, 'new')).toEqual([[0], undefined, undefined, [1], undefined, undefined]);
  });

  it('rule 46: a release that leaves someone waiting is not followed by holding', () => {
    const rows = lines(
      [
        { prompt: 4, out: 9 },
        { at: 1, prompt: 20, out: 2 },
        { at: 1, prompt: 4, out: 2 },
      ],
      { ...every3, max_num_batched_tokens: 8 },
    );
    // Held in steps 1 and 2, then chunks in every step until the queue is empty, then held again.
    expect(column(rows, 'sched').slice(1, 9)).toEqual([
      [[0, 1, 4]],
      [[0, 1, 5]],
      [
        [0, 1, 6],
        [1, 7, 0],
      ],
      [
        [0, 1, 7],
        [1, 7, 7],
      ],
      [
        [0, 1, 8],
        [1, 6, 14],
        [2, 1, 0],
      ],
      [
        [0, 1, 9],
        [1, 1, 20],
      ],
      [[0, 1, 10]],
      [
        [0, 1, 11],
        [2, 3, 1],
      ],
    ]);
  });

  it('rule 47: admitting a single token carries no prefill', () => {
    const rows = lines(
      [
        { prompt: 4, out: 9 },
        { at: 1, prompt: 1, out: 2 },
        { at: 2, prompt: 4, out: 2 },
      ],
      every3,
    );
    // Request 1 comes in during the hold and does not start another one.
    expect(column(rows, 'new').slice(0, 4)).toEqual([[0], [1], undefined, [2]]);
  });

  it('rule 47: a running chunk that is scheduled carries prefill', () => {
    const rows = lines(
      [
        { prompt: 4, out: 12 },
        { at: 1, prompt: 20, out: 2 },
      ],
      { ...every3, max_num_batched_tokens: 8 },
    );
    const chunks = rows.filter(({ sched }) =>
      sched?.some(([id, tokens]) => id === 1 && tokens > 1),
    );
    expect(column(chunks, 's')).toEqual([3, 6, 9]);
  });

  it('rule 47: so does an admission of which the budget leaves a single token', () => {
    const asks: Ask[] = [
      { prompt: 1, out: 9 },
      { prompt: 4, out: 2 },
    ];
    const rows = lines(asks, { prefill_schedule_interval: 2, max_num_batched_tokens: 2 });
    expect(column(rows.slice(0, 3), 'sched')).toEqual([
      [
        [0, 1, 0],
        [1, 1, 0],
      ],
      [[0, 1, 1]],
      [
        [0, 1, 2],
        [1, 1, 1],
      ],
    ]);
  });
});

describe('prefill held back as other engines do', () => {
  const decoding: Ask = { prompt: 4, out: 12 };
  const admittedIn = (asks: readonly Ask[], config: Parameters<typeof lines>[1]) =>
    lines(asks, config).flatMap(({ s, new: admitted }) => (admitted ?? []).map((id) => [id, s]));

  it('SGLang looks for requests every N decode steps, and after a step with prefill', () => {
    const asks: Ask[] = [
      decoding,
      { at: 2, prompt: 4, out: 2 },
      { at: 5, prompt: 4, out: 2 },
      { at: 6, prompt: 4, out: 2 },
    ];
    // Looked for in steps 0, 1 (after prefill), 4, 5 (after prefill), 6 (again), 7, 10.
    expect(admittedIn(asks, { scheduler_recv_interval: 3 })).toEqual([
      [0, 0],
      [1, 4],
      [2, 5],
      [3, 6],
    ]);
  });

  it('what SGLang has seen and found no room for goes in as soon as there is some', () => {
    const asks: Ask[] = [
      { prompt: 4, out: 3 },
      { prompt: 4, out: 9 },
      { prompt: 4, out: 2 },
    ];
    expect(admittedIn(asks, { scheduler_recv_interval: 7, max_num_seqs: 2 })).toEqual([
      [0, 0],
      [1, 0],
      [2, 3],
    ]);
  });

  const waits = { batch_wait_timeout_iters: 3, batch_wait_max_tokens_ratio: 1 };

  it('TensorRT-LLM lets a prompt wait N steps for company', () => {
    const asks: Ask[] = [decoding, { at: 2, prompt: 4, out: 2 }, { at: 4, prompt: 4, out: 2 }];
    expect(admittedIn(asks, waits)).toEqual([
      [0, 0],
      [1, 5],
      [2, 5],
    ]);
  });

  it('and no longer than until there are tokens enough, decodes counted', () => {
    const asks: Ask[] = [decoding, { at: 2, prompt: 8, out: 2 }, { at: 3, prompt: 7, out: 2 }];
    expect(admittedIn(asks, waits)).toEqual([
      [0, 0],
      [1, 3],
      [2, 3],
    ]);
    const half = { ...waits, batch_wait_max_tokens_ratio: 0.5 };
    expect(admittedIn(asks, half).slice(1, 2)).toEqual([[1, 2]]);
  });

  it('nothing waits where nothing decodes', () => {
    expect(admittedIn([{ at: 2, prompt: 4, out: 2 }], waits)).toEqual([[0, 2]]);
  });
});
