import { describe, expect, it } from 'vitest';
import { small } from '../support/oracle/build.js';
import { replay } from '../support/oracle/replay.js';
import { compare, digest, type GoldenTrace, listTraces, type StepLine } from './golden.js';

const scenario = small([{ prompt: 4, out: 3 }]);
const trace: GoldenTrace = { scenario, ...replay(scenario) };
const changed = (i: number, change: Partial<StepLine>) => ({
  ...trace,
  lines: trace.lines.map((line, at) => (at === i ? { ...line, ...change } : line)),
});

describe('comparing a replay with a golden trace', () => {
  it('finds nothing when every decision is the same', () => {
    expect(compare(trace, replay(scenario))).toBeUndefined();
  });

  it('names the first step that differs, and its weightiest field', () => {
    const actual = changed(1, { free: [0, 0], sched: [[0, 2, 4]] });
    expect(compare(trace, actual)).toEqual({
      trace: 'small',
      step: 1,
      field: 'sched',
      expected: [[0, 1, 4]],
      got: [[0, 2, 4]],
    });
    expect(compare(trace, actual, ['sched'])).toMatchObject({ step: 1, field: 'free' });
  });

  it('misses a step that is missing', () => {
    const actual = { ...trace, lines: trace.lines.slice(0, 2) };
    expect(compare(trace, actual)).toMatchObject({ step: 2, field: 'line', got: undefined });
  });

  it('compares the summary alone where no steps are told', () => {
    expect(compare(trace, { summary: trace.summary })).toBeUndefined();
    const summary = { ...trace.summary, calls: 4 };
    expect(compare(trace, { summary })).toMatchObject({ step: 'summary', field: 'calls', got: 4 });
  });

  it('digests the long lists', () => {
    // FNV-1a of "a" is a published test value.
    expect(digest(trace.lines[0]!)).toEqual({
      s: 0,
      add: [0],
      new: [0],
      free: [9, 9],
      n: 1,
      t: 4,
      fnv: fnv('0:4:0;'),
      nr: 1,
      nw: 0,
    });
    expect(fnv('a')).toBe('e40c292c');
  });

  it('says what is missing when there are no traces', () => {
    expect(() => listTraces('no/such/folder')).toThrow(/DIR: expected a folder with golden traces/);
  });
});

/** FNV-1a in big integers, apart from the one under test. */
function fnv(text: string): string {
  let hash = 0x811c9dc5n;
  for (const char of text) {
    hash = ((hash ^ BigInt(char.charCodeAt(0))) * 0x01000193n) % 2n ** 32n;
  }
  return hash.toString(16).padStart(8, '0');
}
