import { describe, expect, it } from 'vitest';
import { type Request, RequestTable } from '../../../src/core/request/request.js';
import { DecodeSet } from '../../../src/core/sched/decode-set.js';

const table = new RequestTable();

/** A request that decodes after `computed` tokens and ends when `endComputed` are computed. */
function decode(computed: number, endComputed: number): Request {
  const spec = { promptTokens: computed, maxTokens: endComputed - computed + 1 };
  const request = table.open(0, spec, 1000);
  request.computed = computed;
  return request;
}

describe('DecodeSet', () => {
  it('knows sums without touching its members', () => {
    const set = new DecodeSet(4, 1000, Infinity);
    for (const computed of [3, 5, 8]) set.join(decode(computed, 100));
    set.advance(10);
    expect([set.size, set.sumComputed]).toEqual([3, 46]);
  });

  it('counts who needs a block in which call', () => {
    const set = new DecodeSet(4, 1000, Infinity);
    for (const computed of [3, 5, 8, 8]) set.join(decode(computed, 100));
    // A block is needed where the computed tokens are a multiple of four: 8 and 8, then 3, then 5.
    expect([1, 2, 3, 4, 5].map((calls) => set.blocksFor(calls))).toEqual([2, 3, 3, 4, 6]);
    expect(set.needingBlock).toBe(2);
    expect(set.blocksFor(6)).toBe(2 + 1 + 0 + 1 + 2 + 1);
    expect(set.callsWithin(100, 50)).toBe(50);
    expect(set.callsWithin(4, 100)).toBe(4);
    expect(set.callsWithin(3, 100)).toBe(3);
  });

  it('says who is due, and when', () => {
    const set = new DecodeSet(4, 1000, Infinity);
    const [first, second] = [decode(3, 7), decode(5, 100)];
    set.join(first);
    set.join(second);
    expect(set.callsUntilChange()).toBe(4);
    set.advance(4);
    expect(set.due()).toBe(first);
    set.leave(first);
    expect([first.computed, first.known, set.due()]).toEqual([7, 8, undefined]);
    expect(set.callsUntilChange()).toBe(91);
  });

  it('stops the context at the attention window', () => {
    const set = new DecodeSet(4, 1000, 6);
    set.join(decode(3, 100));
    set.join(decode(8, 100));
    expect([set.numShort, set.sumWindowed, set.callsUntilChange()]).toEqual([1, 9, 3]);
    set.advance(3);
    expect([set.numShort, set.sumWindowed, set.sumComputed]).toEqual([0, 12, 17]);
  });
});
