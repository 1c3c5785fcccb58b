/** `Simulate`: a scenario with its load, simulated for one caller. */

import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  SimulateRequest,
  SimulateResponseSchema,
} from '../../../gen/llmservingsim/v1/service_pb.js';
import type { Composition } from '../../config/composition.js';
import type { RunReport } from '../../core/metrics/report.js';
import { inputTimesOf } from '../../core/perf/resolve.js';
import { buildLoad } from '../../core/workload/load.js';
import { OfferedLoad } from '../../core/workload/offered-load.js';
import { Recorder } from '../../files/recorder.js';
import { type Clock, clockOfSpeed } from '../../pipeline/clock.js';
import type { SimulationEvent } from '../../pipeline/events.js';
import { simulationChunks } from '../../pipeline/run-simulation.js';
import type { Run } from '../../report/run.js';
import type { Call } from '../call.js';
import { invalidField } from '../errors.js';
import { checkNumRequests, EventBudget, type Runs } from '../limits.js';
import { detailOf, EventMessages, NamedRequests, weightOf } from '../messages/events.js';
import { RecordingPieces } from '../messages/recording.js';
import { PERCENTILES, reportMessage } from '../messages/report.js';
import type { Composer, Limits } from '../ports.js';
import { composeScenario } from '../scenario.js';

export interface SimulateOptions {
  readonly composer: Composer;
  readonly limits: Limits;
  readonly runs: Runs;
}

/** Events simulated ahead of the reader. */
const CHUNK_SIZE = 512;

type Response = MessageInitShape<typeof SimulateResponseSchema>;

export async function* simulate(
  { composer, limits, runs }: SimulateOptions,
  request: SimulateRequest,
  { signal }: Call,
): AsyncGenerator<Response> {
  const detail = detailOf(request.detail, 'detail', 'report');
  const clock = clockOf(request.clock, request.speed);
  const { allowFiles } = limits;
  const composed = await composeScenario(request.scenario, { composer, allowFiles });
  checkNumRequests(composed.load, limits);
  const { seed, router, pools } = composed;
  const messages = new EventMessages(request);
  const budget = new EventBudget(limits);
  const recording = request.record ? new RecordingPieces() : undefined;
  const end = runs.begin();
  try {
    const load = buildLoad(composed.load, seed);
    const offered = new OfferedLoad(detail === 'report' ? load : new NamedRequests(load));
    const chunks = simulationChunks({
      instances: pools.flatMap((pool, i) => composer.instancesOf(pool, i)),
      router,
      seed,
      ...inputTimesOf(pools[0]!),
      workload: offered,
      detail,
      chunkSize: CHUNK_SIZE,
      signal,
      ...(clock && { clock }),
      ...(recording && {
        tracers: [new Recorder(recording, pools[0]!.spec.model.name)],
        waits: () => recording.ripe,
      }),
    });
    for await (const chunk of chunks) {
      const [first] = chunk;
      const over = first?.kind === 'report';
      if (recording) {
        budget.spend(recording.takeNumEvents());
        for (const data of recording.take(over)) {
          yield { content: { case: 'recording', value: { data } } };
        }
      }
      if (over) {
        yield { content: { case: 'report', value: reportOf(composed, offered, first.report) } };
        return;
      }
      const events = chunk as readonly Told[];
      budget.spend(events.reduce((sum, event) => sum + weightOf(event), 0));
      for (const batch of messages.batches(events)) {
        yield { content: { case: 'events', value: eventBatch(batch) } };
      }
    }
  } finally {
    end();
  }
}

type Told = Exclude<SimulationEvent, { kind: 'report' }>;

export const eventBatch = <E>(events: E[]) => ({
  $typeName: 'llmservingsim.v1.EventBatch' as const,
  events,
});

const reportOf = (composed: Composition, offered: OfferedLoad, report: RunReport) =>
  reportMessage(runOf(composed, { numRequests: offered.numGiven, spanNs: offered.spanNs }, report));

export const runOf = (composed: Composition, offered: Run['offered'], report: RunReport): Run => ({
  ...composed,
  offered,
  percentiles: PERCENTILES,
  report,
  stopped: false,
});

function clockOf(word: string, speed: number): Clock | undefined {
  if (word !== '' && word !== 'virtual' && word !== 'wall') {
    throw invalidField('clock', 'virtual or wall', word);
  }
  if (!(speed >= 0)) throw invalidField('speed', 'a factor above 0', speed);
  return word === 'wall' ? clockOfSpeed(speed || 1) : undefined;
}
