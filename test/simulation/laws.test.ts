/** What every run promises, on random clusters under random loads, with checkers on after every event. */

import { describe, expect, it } from 'vitest';
import { createEngine } from '../../src/core/cluster/cluster.js';
import { ROUTERS } from '../../src/core/cluster/routers/index.js';
import type { InstanceConfig, RequestSpec, StepCost } from '../../src/core/engine.js';
import { type RandomStream, Rng } from '../../src/core/rng.js';
import { drawnAcceptance } from '../../src/core/sched/acceptance.js';
import { POLICIES } from '../../src/core/sched/policies/index.js';
import { nsFromMs, onClock } from '../../src/core/units.js';
import { SMALL_SCHEDULER } from '../support/instances.js';
import { checkLaws } from '../support/laws.js';
import { Told } from '../support/told.js';

const RUNS = 150 * Number(process.env.PROPERTY_RUNS ?? 1);

const cost: StepCost = {
  base: ({ numDecodes, prefillTokens, otherTokens = 0 }) =>
    onClock(1e-3 + 1e-4 * numDecodes + 2e-5 * prefillTokens + 1e-5 * otherTokens),
  contextSlope: () => onClock(1e-7),
  windowSlope: () => 0,
  window: Infinity,
  emptyStep: 0,
};

const oneOf = <T>(random: RandomStream, choices: readonly T[]): T =>
  choices[random.integer(0, choices.length - 1)]!;

/** One pool: all its instances alike. */
function drawInstances(random: RandomStream): InstanceConfig[] {
  const stages = oneOf(random, [1, 1, 1, 2, 3]);
  const drafts = stages === 1 && random.next() < 0.2 ? random.integer(1, 3) : 0;
  const budget = oneOf(random, [8, 32, 64]);
  const scheduler = {
    ...SMALL_SCHEDULER,
    numGpuBlocks: random.integer(20, 60),
    maxNumSeqs: random.integer(1, 8),
    maxModelLen: 72,
    maxNumBatchedTokens: budget,
    maxNumScheduledTokens: budget,
    enablePrefixCaching: random.next() < 0.5,
    asyncScheduling: stages === 1 && random.next() < 0.5,
    policy: oneOf(random, POLICIES).name,
    schedulerReserveFullIsl: random.next() < 0.7,
    numSpeculativeTokens: drafts,
    ...(drafts > 0 && { speculativeMethod: 'eagle' as const }),
    pipelineParallelSize: stages,
  };
  const inLockStep = stages === 1 && random.next() < 0.3;
  return Array.from({ length: random.integer(1, 4) }, (_, i) => ({
    pool: 0,
    scheduler,
    cost,
    ...(drafts > 0 && {
      acceptance: drawnAcceptance({ method: 'eagle', numSpeculativeTokens: drafts }),
    }),
    ...(inLockStep && { lockStepGroup: i % 2 }),
  }));
}

function drawSpec(random: RandomStream, id: number): RequestSpec {
  const shared = { content: random.integer(1, 3), length: random.integer(1, 20) };
  const own = { content: 100 + id, length: random.integer(1, 30) };
  const maxTokens = random.integer(1, 20);
  const priority = random.integer(0, 2);
  if (random.next() < 0.5) return { promptTokens: own.length, maxTokens, priority };
  const promptTokens = shared.length + own.length;
  return { promptTokens, maxTokens, priority, prompt: [shared, own], outputContent: 5000 + id };
}

function play(seed: number): Told {
  const random = new Rng(seed).stream('laws');
  const told = new Told();
  const engine = createEngine({
    instances: drawInstances(random),
    router: oneOf(random, ROUTERS).name,
    seed,
    inputLatencyNs: oneOf(random, [0, 3e5]),
    tracer: told.tracer,
  });
  const count = random.integer(5, 40);
  let at = 0;
  for (let id = 0; id < count; id++) {
    at += nsFromMs(random.exponential() * 4);
    const handle = engine.submit(at, drawSpec(random, id));
    if (random.next() < 0.15) engine.cancel(at + nsFromMs(random.exponential() * 15), handle);
  }
  for (let next = engine.nextEventAt(); next !== undefined; next = engine.nextEventAt()) {
    engine.advanceTo(next);
    checkLaws(engine);
  }
  expect({ seed, alive: told.numAlive, ended: told.numFinished }).toEqual({
    seed,
    alive: 0,
    ended: count,
  });
  for (const { kv } of engine.instances)
    expect({ seed, free: kv.free }).toEqual({ seed, free: kv.capacity });
  return told;
}

describe('Any cluster under any load', () => {
  it('conserves requests and blocks, and tells causes before effects', () => {
    for (let seed = 1; seed <= RUNS; seed++) play(seed);
  });

  it('tells the same again for the same seed', () => {
    for (let seed = 1; seed <= RUNS / 10; seed++) expect(play(seed).log).toEqual(play(seed).log);
  });
});
