import { describe, expect, it } from 'vitest';
import type { RequestSpec } from '../../../src/core/engine.js';
import { PrefixPool } from '../../../src/core/kv/prefix-pool.js';
import { type Request, RequestTable } from '../../../src/core/request/request.js';
import { DecodeSet } from '../../../src/core/sched/decode-set.js';
import { SMALL_SCHEDULER } from '../../support/instances.js';

/** A pool of ten blocks of four tokens, and requests that compute their prompts at once. */
function world() {
  const config = { ...SMALL_SCHEDULER, numGpuBlocks: 11, enablePrefixCaching: true };
  const decodes = new DecodeSet(4, config.maxModelLen, Infinity);
  const pool = new PrefixPool(config, decodes, 0);
  const table = new RequestTable();
  let call = 0;
  const request = (spec: Partial<RequestSpec>): Request => {
    const promptTokens = spec.prompt?.reduce((sum, { length }) => sum + length, 0) ?? 12;
    return table.open(0, { promptTokens, maxTokens: 20, ...spec }, 256);
  };
  return {
    pool,
    decodes,
    request,
    /** Admits it with its whole prompt; returns the tokens hit. */
    prefill(spec: Partial<RequestSpec>): { request: Request; hit: number } {
      const one = request(spec);
      one.position = ++call;
      const hit = pool.lookUp(one);
      const fresh = Math.ceil(one.known / 4) - hit / 4;
      pool.admit(one, fresh);
      pool.publish(one, one.known, call, false);
      one.computed = one.known;
      return { request: one, hit };
    },
    release: (one: Request, comesBack = false) =>
      pool.release(one, Math.ceil(one.computed / 4), comesBack),
  };
}

const prompt = (...segments: [content: number, length: number, first?: number][]) => ({
  prompt: segments.map(([content, length, first = 0]) => ({ content, length, first })),
});

describe('PrefixPool', () => {
  it('finds whole blocks, and computes the last token again', () => {
    const { prefill, pool } = world();
    expect(prefill(prompt([1, 8])).hit).toBe(0);
    expect(prefill(prompt([1, 8])).hit).toBe(4);
    expect(prefill(prompt([1, 9])).hit).toBe(8);
    // Two blocks, one of them twice, and one that is not full.
    expect([pool.free, pool.cachedBlocks, pool.sharedBlocks]).toEqual([6, 2, 3]);
  });

  it('shares what is before a turn-off, wherever that is', () => {
    const { prefill, pool } = world();
    const whole = prefill(prompt([1, 16]));
    expect(prefill(prompt([1, 8], [2, 4])).hit).toBe(8);
    expect(prefill(prompt([1, 6], [2, 2])).hit).toBe(4);
    expect(pool.cachedBlocks).toBe(4 + 1 + 1);
    pool.release(whole.request, 4, false);
    expect(prefill(prompt([1, 16], [3, 1])).hit).toBe(16);
  });

  it('forgets the least recently released first, and of a request the tail first', () => {
    const { prefill, release, pool, request } = world();
    const [a, b] = [prefill(prompt([1, 16])), prefill(prompt([2, 16]))];
    release(a.request);
    release(b.request);
    expect([pool.free, pool.cachedBlocks]).toEqual([10, 8]);
    pool.take(5); // Two blank blocks, then three of the first request, from its end.
    expect(pool.cachedBlocks).toBe(5);
    expect(pool.lookUp(request(prompt([1, 17])))).toBe(4);
    expect(pool.lookUp(request(prompt([2, 17])))).toBe(16);
    expect(pool.hitFreeBlocks).toBe(4);
  });

  it('uses what is hit again before it would be forgotten', () => {
    const { prefill, release, pool, request } = world();
    release(prefill(prompt([1, 8])).request);
    release(prefill(prompt([2, 8])).request);
    release(prefill(prompt([1, 9])).request);
    pool.take(8);
    expect(pool.lookUp(request(prompt([2, 9])))).toBe(0);
    expect(pool.lookUp(request(prompt([1, 9])))).toBe(8);
  });

  it('keeps a content as long as one of its copies is there', () => {
    const { prefill, release, pool, request } = world();
    const [a, b] = [prefill(prompt([1, 8])), prefill(prompt([1, 8]))];
    release(a.request);
    // The second block of each is a copy of its own; the first one is shared, and in use.
    expect([pool.free, pool.cachedBlocks]).toEqual([8, 2]);
    pool.take(8);
    expect([pool.free, pool.cachedBlocks]).toEqual([0, 2]);
    expect(pool.lookUp(request(prompt([1, 9])))).toBe(8);
    release(b.request);
    expect(pool.free).toBe(2);
  });

  it('separates salts and adapters', () => {
    const { prefill } = world();
    prefill({ ...prompt([1, 9]), cacheSalt: 'a' });
    expect(prefill(prompt([1, 9])).hit).toBe(0);
    expect(prefill({ ...prompt([1, 9]), lora: 'a' }).hit).toBe(0);
    expect(prefill({ ...prompt([1, 9]), cacheSalt: 'a' }).hit).toBe(8);
  });

  it('separates the same name as a salt, as an adapter and as both', () => {
    const { prefill } = world();
    const kinds = [{ cacheSalt: 'a' }, { lora: 'a' }, { cacheSalt: 'a', lora: 'a' }];
    for (const kind of kinds) expect(prefill({ ...prompt([1, 5]), ...kind }).hit).toBe(0);
    for (const kind of kinds) expect(prefill({ ...prompt([1, 5]), ...kind }).hit).toBe(4);
  });

  it('finds what a decode has written when it is asked for, and says when more comes', () => {
    const { prefill, decodes, pool, request } = world();
    const answering = prefill({ ...prompt([1, 4]), outputContent: 9 }).request;
    decodes.join(answering);
    pool.follow(answering);
    const next = prompt([1, 4], [9, 8], [2, 1]);
    decodes.advance(3);
    expect(pool.lookUp(request(next))).toBe(4);
    expect(pool.gainsAtCall).toBe(4);
    decodes.advance(1);
    expect(pool.lookUp(request(next))).toBe(8);
    expect(pool.gainsAtCall).toBe(8);
    expect(pool.cachedBlocks).toBe(2);
  });

  it('lets only a preempted request find what nobody else can', () => {
    const { prefill, release, pool, request } = world();
    const [ends, comesBack] = [prefill({}).request, prefill({}).request];
    expect([pool.free, pool.cachedBlocks]).toEqual([4, 6]);
    release(ends);
    release(comesBack, true);
    expect([pool.free, pool.cachedBlocks]).toEqual([10, 6]);
    comesBack.numPreemptions = 1;
    expect(pool.lookUp(comesBack)).toBe(8);
    expect(pool.lookUp(request({}))).toBe(0);
    pool.take(8); // Four blank blocks, the three of the first, one of the second.
    expect([pool.lookUp(comesBack), pool.cachedBlocks]).toEqual([8, 2]);
  });

  it('gives every block back', () => {
    const { prefill, release, pool } = world();
    const all = [prompt([1, 9]), prompt([1, 9], [2, 3]), prompt([1, 4], [3, 9])].map(prefill);
    for (const { request } of all) release(request);
    expect([pool.free, pool.sharedBlocks]).toEqual([10, 0]);
  });
});
