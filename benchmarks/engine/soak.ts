/**
 * Many hours of a busy instance, with everything at once: `tsx benchmarks/engine/soak.ts [--events 1000000]`.
 *
 * Random requests, shared prompts, follow-ups on earlier answers, callers that hang up at any moment, a
 * pool so small that requests are preempted all the time; each of several configurations in turn. After
 * every thousandth event the laws are recounted, and in the end all blocks must be back. Exits 1 if not.
 */

import { parseArgs } from 'node:util';
import { type Cluster, createEngine } from '../../src/core/cluster/cluster.js';
import type { RequestHandle, RequestSpec, SchedulerConfig } from '../../src/core/engine.js';
import { type RandomStream, Rng } from '../../src/core/rng.js';
import { drawnAcceptance } from '../../src/core/sched/acceptance.js';
import { checkLaws } from '../../test/support/laws.js';
import { affineCost, SCHEDULER } from './loads.js';

const TIGHT: SchedulerConfig = {
  ...SCHEDULER,
  numGpuBlocks: 700,
  maxNumSeqs: 64,
  maxNumActiveSeqs: 64,
  maxModelLen: 2048,
  schedulerReserveFullIsl: false,
};

const CONFIGURATIONS: Readonly<Record<string, Partial<SchedulerConfig>>> = {
  plain: {},
  asynchronous: { asyncScheduling: true },
  'prefix cache': { enablePrefixCaching: true },
  'prefix cache, asynchronous': { enablePrefixCaching: true, asyncScheduling: true },
  'prefix cache, priorities': { enablePrefixCaching: true, policy: 'priority' },
  'drafts, prefix cache': {
    enablePrefixCaching: true,
    numSpeculativeTokens: 3,
    speculativeMethod: 'eagle',
  },
  'pipeline stages': {
    enablePrefixCaching: true,
    pipelineParallelSize: 3,
    maxNumBatchedTokens: 256,
    maxNumScheduledTokens: 256,
  },
  'chunks, held prefill': { longPrefillTokenThreshold: 128, prefillScheduleInterval: 3 },
};

/** A request that shares with others now and then: a system prompt, or an earlier conversation. */
function drawSpec(random: RandomStream, id: number): RequestSpec {
  const common = { content: random.integer(0, 5), length: random.integer(10, 400) };
  const own = { content: 10 * id, length: random.integer(1, 500) };
  const before = 10 * Math.max(0, id - random.integer(1, 40));
  const answer = { content: before + 1, length: random.integer(1, 100) };
  const prompt =
    random.next() < 0.7 ? [common, own] : [common, { ...own, content: before }, answer];
  return {
    promptTokens: prompt.reduce((sum, { length }) => sum + length, 0),
    maxTokens: random.integer(1, 300),
    prompt,
    outputContent: 10 * id + 1,
    priority: random.integer(0, 2),
  };
}

/** Lets `numEvents` arrivals and cancellations pass, and then all that is left. */
function soak(config: SchedulerConfig, numEvents: number, seed: number): Cluster {
  const random = new Rng(seed).stream('soak');
  const acceptance = drawnAcceptance({
    method: 'draft_model',
    numSpeculativeTokens: Math.max(1, config.numSpeculativeTokens),
  });
  const alive: RequestHandle[] = [];
  const engine = createEngine({
    instances: [{ pool: 0, scheduler: config, cost: affineCost, acceptance }],
    router: 'round_robin',
    seed,
    inputLatencyNs: 0,
    tracer: {},
  });
  let at = 0;
  for (let events = 0; events < numEvents; events++) {
    at += Math.floor(random.exponential() * 40e6);
    if (random.next() < 0.8) alive.push(engine.submit(at, drawSpec(random, events)));
    else if (alive.length > 0) {
      const [gone] = alive.splice(random.integer(0, alive.length - 1), 1);
      engine.cancel(at, gone!);
    }
    // The last few hundred are enough to cancel from: older ones have ended, or wait.
    if (alive.length > 400) alive.splice(0, 200);
    engine.advanceTo(at);
    if (events % 1000 === 0) checkLaws(engine);
  }
  engine.advanceTo(Infinity);
  checkLaws(engine);
  return engine;
}

const { values } = parseArgs({ options: { events: { type: 'string', default: '1000000' } } });
const numEvents = Math.ceil(Number(values.events) / Object.keys(CONFIGURATIONS).length);
let leaked = 0;
for (const [name, options] of Object.entries(CONFIGURATIONS)) {
  const engine = soak({ ...TIGHT, ...options }, numEvents, 1);
  const report = engine.report();
  const { freeBlocks, numBlocks } = engine.snapshot()[0]!;
  const { numPreemptions, numSteps, prefixHits } = report.instances[0]!;
  leaked += numBlocks - freeBlocks + report.unfinished;
  console.log(
    `${name.padEnd(28)} ${(report.durationNs / 3.6e12).toFixed(1)} h simulated, ${numSteps} steps, ` +
      `${report.completed} completed, ${report.aborted} aborted, ${numPreemptions} preemptions, ` +
      `${prefixHits} tokens hit, ${numBlocks - freeBlocks} blocks leaked`,
  );
}
process.exitCode = leaked === 0 ? 0 : 1;
