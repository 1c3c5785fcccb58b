import { describe, expect, it } from 'vitest';
import { buildLoad, type LoadOptions } from '../../../src/core/workload/load.js';

const RANDOM = { kind: 'random', inputLen: 8, outputLen: 2, rangeRatio: 0, prefixLen: 0 } as const;

function adaptersOf(options: Partial<LoadOptions>): string[] {
  const load = buildLoad({ source: RANDOM, numPrompts: 4000, ...options }, 7);
  const names: string[] = [];
  for (let arrival = load.next(); arrival; arrival = load.next()) names.push(arrival.spec.lora!);
  return names;
}

const counts = (names: readonly string[]): Map<string, number> =>
  names.reduce((all, name) => all.set(name, (all.get(name) ?? 0) + 1), new Map());

describe('a load over adapters', () => {
  it('spreads requests equally, the same way for the same seed', () => {
    const names = adaptersOf({ adapters: { count: 4, zipf: 0 } });
    for (const count of counts(names).values()) expect(Math.abs(count - 1000)).toBeLessThan(100);
    expect(names).toEqual(adaptersOf({ adapters: { count: 4, zipf: 0 } }));
  });

  it("spreads them by Zipf's law", () => {
    const by = counts(adaptersOf({ adapters: { count: 3, zipf: 1 } }));
    // 1 : 1/2 : 1/3
    const shares = ['lora-1', 'lora-2', 'lora-3'].map((name) => by.get(name)! / 4000);
    for (const [i, share] of [6 / 11, 3 / 11, 2 / 11].entries()) {
      expect(shares[i]).toBeCloseTo(share, 1);
    }
  });

  it('leaves rows of a trace the adapter they name', () => {
    let row = 0;
    const open = () => ({
      next: () =>
        row++ < 2
          ? { at: 0, spec: { promptTokens: 1, maxTokens: 1, ...(row === 1 && { lora: 'own' }) } }
          : undefined,
    });
    const source = { kind: 'trace', speed: 1, open } as const;
    expect(adaptersOf({ source, adapters: { count: 1, zipf: 0 } })).toEqual(['own', 'lora-1']);
  });

  it('keeps one adapter for all turns of a conversation', () => {
    const conversations = { minTurns: 2, maxTurns: 2, delayMs: 0 };
    const options = { source: RANDOM, numPrompts: 20, conversations };
    const load = buildLoad({ ...options, adapters: { count: 5, zipf: 0 } }, 1);
    const first = load.next()!.spec;
    load.ended!({ spec: first, endedAt: 5, outputTokens: 2 } as Parameters<
      NonNullable<typeof load.ended>
    >[0]);
    for (let turn = load.next(); turn; turn = load.next()) {
      if (turn.spec.id === '0-1') expect(turn.spec.lora).toBe(first.lora);
      if (turn.spec.id === '0-1') return;
    }
    expect.unreachable('the second turn comes');
  });
});
