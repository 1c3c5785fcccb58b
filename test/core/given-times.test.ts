import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GivenTimes } from '../../src/core/cluster/given-times.js';
import type { Tracer } from '../../src/core/trace/tracer.js';

function given(ttftNs: number, itlNs: number, told: string[] = []) {
  const tracer: Tracer = {
    tokens: ({ at, handles }) => told.push(`${at} #${handles[0]}`),
    requestFinish: ({ endedAt, reason, outputTokens, handle }) =>
      told.push(`${endedAt} #${handle} ${reason} after ${outputTokens}`),
  };
  const engine = new GivenTimes({
    ttftNs,
    itlNs,
    tracer,
    maxModelLen: 100,
    numBlocks: 10,
    blockSize: 10,
  });
  return { engine, told };
}

describe('GivenTimes', () => {
  it('gives the first token after the time to first token, and one more each interval', () => {
    const { engine, told } = given(200, 20);
    engine.submit(5, { promptTokens: 10, maxTokens: 3 });
    engine.advanceTo(1000);
    expect(told).toEqual(['205 #0', '225 #0', '245 #0', '245 #0 length after 3']);
    expect(engine.nextEventAt()).toBeUndefined();
  });

  it('keeps fractions of a nanosecond from adding up', () => {
    const { engine, told } = given(0, 0.4);
    engine.submit(0, { promptTokens: 1, maxTokens: 6 });
    engine.advanceTo(10);
    expect(told.map((line) => Number.parseInt(line, 10))).toEqual([0, 0, 1, 1, 2, 2, 2]);
  });

  it('takes a request away at once when its caller goes', () => {
    const { engine, told } = given(10, 10);
    const handle = engine.submit(0, { promptTokens: 25, maxTokens: 50 });
    engine.advanceTo(35);
    expect(engine.snapshot()[0]).toMatchObject({ numRunning: 1, freeBlocks: 7 });
    engine.cancel(36, handle);
    engine.advanceTo(36);
    expect(told.at(-1)).toBe('36 #0 abort after 3');
    expect(engine.snapshot()[0]).toMatchObject({ numRunning: 0, freeBlocks: 10 });
    engine.advanceTo(1000);
    expect(told).toHaveLength(4);
  });

  it('rejects what the window cannot hold, and cuts what outgrows it', () => {
    const { engine, told } = given(1, 1);
    engine.submit(0, { promptTokens: 100, maxTokens: 1 });
    engine.submit(0, { promptTokens: 98, maxTokens: 5 });
    engine.advanceTo(100);
    expect(told.filter((line) => line.includes('after'))).toEqual([
      '0 #0 rejected after 0',
      '2 #1 length after 2',
    ]);
  });

  it('tells tokens in time order, each request its own number', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(100), fc.integer({ min: 1, max: 9 })), { maxLength: 20 }),
        (requests) => {
          const times: number[] = [];
          const counts = new Map<number, number>();
          const engine = new GivenTimes({
            ttftNs: 7,
            itlNs: 3,
            maxModelLen: 100,
            numBlocks: 1,
            blockSize: 1,
            tracer: {
              tokens: ({ at, handles }) => {
                times.push(at);
                counts.set(handles[0]!, (counts.get(handles[0]!) ?? 0) + 1);
              },
            },
          });
          const sorted = requests.toSorted((a, b) => a[0] - b[0]);
          const handles = sorted.map(([at, maxTokens]) =>
            engine.submit(at, { promptTokens: 1, maxTokens }),
          );
          engine.advanceTo(Infinity);
          expect(times).toEqual(times.toSorted((a, b) => a - b));
          expect(handles.map((handle) => counts.get(handle))).toEqual(sorted.map(([, n]) => n));
        },
      ),
    );
  });
});
