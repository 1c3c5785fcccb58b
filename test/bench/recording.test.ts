import { describe, expect, it } from 'vitest';
import { tokenTimes } from '../../src/bench/recording.js';

describe('the tokens of a measured answer', () => {
  const record = { firstTokenMs: 20, endedMs: 99 };

  it('came with the chunks that carry text', () => {
    const chunkMs = [10, 20, 30, 40, 41];
    expect(tokenTimes({ ...record, chunkMs, outputTokens: 3 })).toEqual([20, 30, 40]);
  });

  it('are spread evenly over chunks that are fewer', () => {
    const chunkMs = [20, 30];
    expect(tokenTimes({ ...record, chunkMs, outputTokens: 5 })).toEqual([20, 20, 20, 30, 30]);
  });

  it('came at the end where nothing was streamed', () => {
    expect(tokenTimes({ ...record, chunkMs: [], outputTokens: 2 })).toEqual([99, 99]);
  });
});
