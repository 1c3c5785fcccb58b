import { describe, expect, it } from 'vitest';
import { probe } from '../../src/bench/probe.js';
import type { RequestRecord } from '../../src/bench/request.js';

const answered = { sentMs: 10, lastChunkMs: 15, endedMs: 15, streamed: true, outputTokens: 1 };
const failed = { ...answered, failure: { kind: 'timeout', message: '' } };

/** A sender that answers as listed and then no more, which ends the probes. */
function senderOf(answers: readonly object[], stop: AbortController) {
  const ids: string[] = [];
  return {
    ids,
    idled() {},
    send({ id }: { id: string }): Promise<RequestRecord> {
      const answer = answers[ids.push(id) - 1];
      if (answer) return Promise.resolve(answer as RequestRecord);
      stop.abort();
      return new Promise(() => {});
    },
  };
}

describe('probe', () => {
  it('counts answers and failures, and does not wait for the one under way at the end', async () => {
    const stop = new AbortController();
    const sender = senderOf([answered, failed, answered], stop);
    const probed = await probe({ sender, rate: 1e4, originMs: 0 }, stop.signal);
    expect(sender.ids).toEqual(['probe-0', 'probe-1', 'probe-2', 'probe-3']);
    expect([probed.failed, probed.e2el.count, probed.e2el.maxMs]).toEqual([1, 2, 5]);
  });

  it('sends one after the other', async () => {
    const stop = new AbortController();
    let underWay = 0;
    let most = 0;
    const sender = {
      idled() {},
      async send() {
        most = Math.max(most, ++underWay);
        await new Promise(setImmediate);
        underWay--;
        if (++numSent === 5) stop.abort();
        return answered as RequestRecord;
      },
    };
    let numSent = 0;
    await probe({ sender, rate: 1e4, originMs: 0 }, stop.signal);
    expect([most, numSent]).toEqual([1, 5]);
  });
});
