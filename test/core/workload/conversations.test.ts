import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RequestSpec } from '../../../src/core/engine.js';
import { simulate } from '../../../src/core/simulate.js';
import type { RequestOutcome } from '../../../src/core/trace/tracer.js';
import type { ConversationOptions } from '../../../src/core/workload/conversations.js';
import { buildLoad, checkLoad, type LoadOptions } from '../../../src/core/workload/load.js';
import type { Workload } from '../../../src/core/workload/workload.js';
import { pool } from '../perf/support.js';

const conversations = (c: Partial<ConversationOptions>): ConversationOptions => ({
  minTurns: 2,
  maxTurns: 2,
  delayMs: 0,
  ...c,
});

const options = (
  talk: Partial<ConversationOptions>,
  more: Partial<LoadOptions> = {},
  lengths = {},
): LoadOptions => ({
  source: {
    kind: 'random',
    inputLen: 100,
    outputLen: 10,
    rangeRatio: 0,
    prefixLen: 32,
    ...lengths,
  },
  numPrompts: 3,
  requestRate: 1,
  burstiness: Infinity,
  conversations: conversations(talk),
  ...more,
});

/** A request of `load` ended in full, or with fewer tokens. */
function end(load: Workload, spec: RequestSpec, endedAt: number, outputTokens = spec.maxTokens) {
  load.ended!({ spec, endedAt, outputTokens } as RequestOutcome);
}

describe('Conversations', () => {
  it('asks the next question when the answer is there and has been thought about', () => {
    const load = buildLoad(options({ delayMs: 250 }), 1);
    const first = load.next()!;
    expect([first.at, first.spec.id]).toEqual([1e9, '0-0']);
    end(load, first.spec, 1.5e9);
    const second = load.next()!;
    expect([second.at, second.spec.id]).toEqual([1.75e9, '0-1']);
    const other = load.next()!;
    expect([other.at, other.spec.id]).toEqual([2e9, '1-0']);
  });

  it('asks with the whole history: prefix, questions and answers, each under its name', () => {
    const load = buildLoad(options({ minTurns: 3, maxTurns: 3, perTurnInputLen: 20 }), 1);
    const first = load.next()!.spec;
    expect(first).toMatchObject({ promptTokens: 132, maxTokens: 10 });
    expect(first.prompt).toEqual([
      { content: 0, length: 32 },
      { content: 1, length: 100 },
    ]);
    end(load, first, 1.1e9);
    const second = load.next()!.spec;
    expect(second.promptTokens).toBe(132 + 10 + 20);
    expect(second.prompt!.slice(0, 3)).toEqual([
      ...first.prompt!,
      { content: first.outputContent, length: 10 },
    ]);
    end(load, second, 1.2e9);
    const third = load.next()!.spec;
    expect(third.prompt!.map(({ length }) => length)).toEqual([32, 100, 10, 20, 10, 20]);
    expect(new Set(third.prompt!.map(({ content }) => content)).size).toBe(6);
    end(load, third, 1.3e9);
    expect(load.next()!.spec.id).toBe('1-0');
  });

  it('ends when a turn is not answered in full', () => {
    const load = buildLoad(options({}, { numPrompts: 1 }), 1);
    const { spec } = load.next()!;
    end(load, spec, 2e9, 4);
    expect(load.next()).toBeUndefined();
  });

  it('keeps at most so many conversations under way', () => {
    const load = buildLoad(options({ maxActive: 1 }), 1);
    const first = load.next()!;
    expect(load.next()).toBeUndefined();
    end(load, first.spec, 9e9);
    const second = load.next()!;
    expect(second.spec.id).toBe('0-1');
    expect(load.next()).toBeUndefined();
    end(load, second.spec, 10e9);
    expect(load.next()).toMatchObject({ at: 10e9, spec: { id: '1-0' } });
  });

  it('knows how many requests it has when all conversations are as long', () => {
    expect(buildLoad(options({}), 1).numRequests).toBe(6);
    expect(buildLoad(options({ maxTurns: 4 }), 1).numRequests).toBeUndefined();
  });

  it('says the same whatever the order in which answers come', () => {
    const lengthsOf = (backwards: boolean) => {
      const load = buildLoad(options({ maxTurns: 5 }, {}, { rangeRatio: 0.5 }), 7);
      const open: RequestSpec[] = [];
      const said: Record<string, number[]> = {};
      for (let at = 5e9; ; at += 1e9) {
        for (let next = load.next(); next; next = load.next()) open.push(next.spec);
        const spec = backwards ? open.pop() : open.shift();
        if (!spec) return said;
        said[spec.id!] = [spec.promptTokens, spec.maxTokens];
        end(load, spec, at);
      }
    };
    expect(lengthsOf(true)).toEqual(lengthsOf(false));
  });

  it('refuses what means nothing', () => {
    const name = (field: string) => `--${field}`;
    const refusal = (talk: Partial<ConversationOptions>) => () => checkLoad(options(talk), name);
    expect(refusal({ minTurns: 0 })).toThrow(/--multi_turn_min_turns: expected a whole number/);
    expect(refusal({ maxTurns: 1 })).toThrow(/--multi_turn_max_turns: expected at least 2 turns/);
    expect(refusal({ delayMs: -1 })).toThrow(/--multi_turn_delay_ms/);
    expect(refusal({ maxActive: 0 })).toThrow(/--multi_turn_concurrency/);
    const trace = { kind: 'trace' as const, speed: 1, open: () => ({ next: () => undefined }) };
    expect(() => checkLoad(options({}, { source: trace }), name)).toThrow(/--multi_turn: expected/);
  });
});

describe('a simulation of conversations', () => {
  const resolved = pool({
    model: 'qwen/Qwen3-8B',
    hardware: 'A100',
    options: { enablePrefixCaching: true },
  });

  const run = (load: LoadOptions, seed: number, numInstances = 1) => {
    const ended = new Map<string, RequestOutcome>();
    const { scheduler, cost, inputLatencyNs } = resolved;
    const report = simulate({
      instances: Array.from({ length: numInstances }, () => ({ pool: 0, scheduler, cost })),
      router: 'round_robin',
      seed,
      inputLatencyNs,
      workload: buildLoad(load, seed),
      tracers: [{ requestFinish: (outcome) => void ended.set(outcome.spec.id!, { ...outcome }) }],
    });
    return { report, ended };
  };

  it('arrives turn by turn, finds its history in the cache, and loses no request', () => {
    const arbitrary = fc.record({
      seed: fc.nat(1000),
      minTurns: fc.integer({ min: 1, max: 3 }),
      more: fc.integer({ min: 0, max: 3 }),
      delayMs: fc.constantFrom(0, 1, 700),
      maxActive: fc.constantFrom(undefined, 1, 3),
      maxConcurrency: fc.constantFrom(undefined, 1, 4),
      requestRate: fc.constantFrom(0.5, 8, Infinity),
      numInstances: fc.constantFrom(1, 2),
    });
    fc.assert(
      fc.property(arbitrary, ({ seed, minTurns, more, numInstances, ...c }) => {
        const { delayMs, maxActive, maxConcurrency, requestRate } = c;
        const talk = { minTurns, maxTurns: minTurns + more, delayMs, maxActive };
        const load = options(
          talk,
          { numPrompts: 6, requestRate, burstiness: 1, maxConcurrency },
          { rangeRatio: 0.5 },
        );
        const { report, ended } = run(load, seed, numInstances);
        expect(report.completed).toBe(report.submitted);
        expect(report.completed).toBe(ended.size);
        expect(ended.size).toBeGreaterThanOrEqual(6 * minTurns);
        expect(ended.size).toBeLessThanOrEqual(6 * talk.maxTurns);
        for (const [id, outcome] of ended) {
          const [number, turn] = id.split('-').map(Number);
          const before = ended.get(`${number}-${turn! - 1}`);
          if (turn === 0) continue;
          const earliest = before!.endedAt + delayMs * 1e6;
          if (maxConcurrency === undefined) expect(outcome.arrivedAt).toBe(earliest);
          else expect(outcome.arrivedAt).toBeGreaterThanOrEqual(earliest);
          // Everything but the last answer token has its KV; the cache holds whole blocks.
          if (numInstances > 1) continue;
          const said = before!.spec.promptTokens + before!.outputTokens - 1;
          expect(outcome.cachedTokens).toBe(Math.floor(said / 16) * 16);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('is the same for the same seed', () => {
    const load = options({ maxTurns: 5, delayMs: 100 }, { numPrompts: 20, burstiness: 1 });
    const [a, b] = [run(load, 3), run(load, 3)];
    expect([...a.ended]).toEqual([...b.ended]);
  });
});
