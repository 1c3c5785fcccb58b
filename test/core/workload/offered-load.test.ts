import { describe, expect, it } from 'vitest';
import type { RequestOutcome } from '../../../src/core/trace/tracer.js';
import { ClosedLoop } from '../../../src/core/workload/closed-loop.js';
import { OfferedLoad } from '../../../src/core/workload/offered-load.js';

const rows = () => {
  let i = 0;
  const at = [100, 250, 900];
  return {
    numRequests: 3,
    next: () => (i < 3 ? { at: at[i++]!, spec: { promptTokens: 1, maxTokens: 1 } } : undefined),
  };
};

describe('OfferedLoad', () => {
  it('measures what it hands out', () => {
    const offered = new OfferedLoad(rows());
    expect([offered.numGiven, offered.spanNs, offered.numRequests]).toEqual([0, 0, 3]);
    while (offered.next());
    expect([offered.numGiven, offered.spanNs]).toEqual([3, 800]);
  });

  it('listens to ends only where the load inside does', () => {
    expect(new OfferedLoad(rows()).ended).toBeUndefined();
    const closed = new OfferedLoad(new ClosedLoop(rows(), 1));
    expect(closed.next()?.at).toBe(100);
    expect(closed.next()).toBeUndefined();
    closed.ended!({ endedAt: 400 } as RequestOutcome);
    expect(closed.next()?.at).toBe(400);
  });
});
