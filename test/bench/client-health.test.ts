import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import {
  biasMs,
  type ClientHealth,
  healthLine,
  healthOf,
  healthWarnings,
} from '../../src/bench/client-health.js';
import { ThreadMonitor, type ThreadUse } from '../../src/bench/thread-monitor.js';

const nextTurn = () => new Promise(setImmediate);

describe('ThreadMonitor', () => {
  it('counts a stamp as late by what was handled before it in its turn, and by half a busy stretch', async () => {
    const monitor = new ThreadMonitor();
    monitor.begin();
    monitor.arrived(0);
    await nextTurn();
    monitor.arrived(100);
    await nextTurn();
    // Never asleep since 100: came at 102, on average.
    monitor.arrived(104);
    monitor.arrived(110);
    expect(monitor.stop().receiveMs).toBe((2 + 8) / 2);
  });

  it('takes what woke the loop as stamped in time', async () => {
    const monitor = new ThreadMonitor();
    monitor.begin();
    monitor.arrived(0);
    await nextTurn();
    monitor.arrived(100);
    await sleep(5);
    await nextTurn();
    monitor.arrived(104);
    monitor.arrived(110);
    expect(monitor.stop().receiveMs).toBe((0 + 6) / 2);
  });

  it('takes the round trip of a new connection for the fastest there was', () => {
    const monitor = new ThreadMonitor();
    monitor.begin();
    for (let i = 0; i < 4; i++) monitor.leaving();
    for (const ms of [20, 21, 25]) monitor.left(ms, false);
    monitor.left(0.5, true);
    // Three new ones, 1 ms beyond the fastest in the middle, and a kept one.
    expect(monitor.stop().sendMs).toBe((3 * 1 + 0.5) / 4);
  });

  it('knows nothing of what it has not seen', () => {
    const monitor = new ThreadMonitor();
    monitor.begin();
    const { sendMs, receiveMs, numChunks } = monitor.stop();
    expect([sendMs, receiveMs, numChunks]).toEqual([undefined, undefined, 0]);
  });

  it('does not count looking at the clock as work', async () => {
    const monitor = new ThreadMonitor();
    monitor.begin();
    await sleep(5);
    monitor.idled(1e6);
    expect(monitor.stop().busyMs).toBe(0);
  });
});

const use = (change: Partial<ThreadUse> = {}): ThreadUse => ({
  loopDelayP99Ms: 1,
  loopDelayMaxMs: 2,
  busyFraction: 0.1,
  busiestFraction: 0.2,
  busyMs: 1_000,
  numRequests: 100,
  numChunks: 10_000,
  sendMs: 0.3,
  receiveMs: 0.1,
  ...change,
});

const rest = { cpuFraction: 0.1, changes: [], lost: undefined };

describe('healthOf', () => {
  it('takes what a chunk costs for the limit', () => {
    const { limit, bias, numThreads } = healthOf({ load: use(), others: [], ...rest });
    expect(limit).toEqual({ chunksPerS: 10_000, requestsPerS: 100 });
    expect(biasMs(bias!)).toBeCloseTo(0.4);
    expect(numThreads).toBe(1);
  });

  it('adds up the threads that send, and warns of the fullest of all', () => {
    const load = use({ busiestFraction: 0.95, numRequests: 0, numChunks: 0 });
    const others = [use(), use({ numRequests: 300, sendMs: 0.7, busyMs: 2_000 })];
    const health = healthOf({ load, others, ...rest });
    expect(health.limit).toEqual({ chunksPerS: 15_000, requestsPerS: 250 });
    expect(health.bias!.sendMs).toBeCloseTo((0.3 + 3 * 0.7) / 4);
    expect([health.busiestFraction, health.numThreads]).toEqual([0.95, 2]);
  });

  it('has no limit and no bias where nothing came back', () => {
    const load = use({ numChunks: 0, receiveMs: undefined });
    const { limit, bias } = healthOf({ load, others: [], ...rest });
    expect([limit, bias]).toEqual([undefined, undefined]);
  });
});

describe('healthWarnings', () => {
  const health = (change: Partial<ClientHealth> = {}): ClientHealth => ({
    ...healthOf({ load: use(), others: [], ...rest }),
    ...change,
  });

  it('are none of a client at ease', () => {
    expect(healthWarnings(health(), 1)).toEqual([]);
  });

  it('name each limit that was passed', () => {
    const warnings = (change: Partial<ClientHealth>, lag?: number) =>
      healthWarnings(health(change), lag).join();
    expect(warnings({ busiestFraction: 0.9 })).toContain('90 % of a second');
    expect(warnings({ bias: { sendMs: 3, receiveMs: 1.2 } })).toContain('adds about 4.2 ms');
    expect(warnings({ loopDelayP99Ms: 12 })).toContain('held up 12.0 ms');
    expect(warnings({}, 30)).toContain('sent 30.0 ms late');
    expect(warnings({ lostThread: 'it ended' })).toContain('thread was lost: it ended');
  });

  it('stand beside a line that every report has', () => {
    expect(healthLine(health(), 0.5)).toBe(
      'Client: adds about 0.40 ms to TTFT and E2EL, a thread was 20 % busy at most, room for at least 10,000 chunks/s, ' +
        'event loop held up 1.00 ms (P99), requests sent 0.50 ms late (P99).',
    );
  });
});
