/** The engine in nanoseconds: a scenario run to its end, its runs cut at random where that is asked for. */

import { type Cluster, createEngine } from '../../src/core/cluster/cluster.js';
import type { KvTierConfig } from '../../src/core/engine.js';
import type { RandomStream } from '../../src/core/rng.js';
import type { Tracer } from '../../src/core/trace/tracer.js';
import { acceptanceOf, schedulerConfig, specsOf } from '../parity/engine-replay.js';
import { checkLaws } from './laws.js';
import type { replayInTime, TimedScenario } from './oracle/timed.js';

export type Row = ReturnType<typeof replayInTime>['requests'][number];

/** Calls after which a livelock is cut: requests that preempt themselves again and again. */
const MOST_CALLS = 20_000;

export interface InTimeOptions {
  /** Where its runs are cut; absent: nowhere. */
  readonly cuts?: RandomStream | undefined;
  readonly kvTiers?: readonly KvTierConfig[];
  /** The engine when all is over. */
  readonly onEnd?: (engine: Cluster) => void;
}

/** The rows of a scenario as the engine runs it; the laws hold after each event. */
export function runInTime(scenario: TimedScenario, options: InTimeOptions): Row[] {
  const { cuts, kvTiers, onEnd } = options;
  const ids = new Map<number, number>();
  const rows: Row[] = scenario.requests.map((_, id) => ({
    id,
    end: 'unfinished',
    outputTokens: 0,
    numPreemptions: 0,
    cachedTokens: 0,
    scheduledAt: null,
    firstTokenAt: null,
    lastTokenAt: null,
    endedAt: null,
  }));
  const tracer: Tracer = {
    requestFinish(outcome) {
      const id = ids.get(outcome.handle)!;
      rows[id] = {
        id,
        end: outcome.reason === 'abort' ? 'abort' : 'length',
        outputTokens: outcome.outputTokens,
        numPreemptions: outcome.numPreemptions,
        cachedTokens: outcome.cachedTokens,
        scheduledAt: outcome.scheduledAt ?? null,
        firstTokenAt: outcome.firstTokenAt ?? null,
        lastTokenAt: outcome.lastTokenAt ?? null,
        endedAt: outcome.endedAt,
      };
    },
  };
  const engine = createEngine({
    instances: [
      {
        pool: 0,
        scheduler: {
          ...schedulerConfig(scenario.config, scenario.adapterTicks),
          ...(kvTiers && { kvTiers }),
        },
        cost: scenario.cost,
        acceptance: () => acceptanceOf(scenario.config),
      },
    ],
    router: 'round_robin',
    seed: 0,
    inputLatencyNs: 0,
    tracer,
  });
  const specs = specsOf(scenario.requests, scenario.config);
  const handles = scenario.requests.map((request, id) => {
    const handle = engine.submit(request.at, specs[id]!);
    ids.set(handle, id);
    return handle;
  });
  const cancels = scenario.requests
    .flatMap(({ cancelAt }, id) => (cancelAt === undefined ? [] : [{ id, cancelAt }]))
    .sort((a, b) => a.cancelAt - b.cancelAt || a.id - b.id);
  for (const { id, cancelAt } of cancels) engine.cancel(cancelAt, handles[id]!);
  for (let at = engine.nextEventAt(); at !== undefined; at = engine.nextEventAt()) {
    if (engine.instances[0]!.scheduler.decodes.calls > MOST_CALLS) break;
    // A cut: time stops inside the run, and a command that changes nothing ends it there.
    if (cuts && at > engine.now + 1 && cuts.next() < 0.5) {
      const inside = cuts.integer(engine.now, at - 1);
      engine.advanceTo(inside);
      engine.cancel(inside, engine.submit(at + 1e15, { promptTokens: 1, maxTokens: 1 }));
    } else engine.advanceTo(at);
    checkLaws(engine);
  }
  onEnd?.(engine);
  return [...rows]; // Without those of the cuts.
}
