/**
 * The oracle on a step clock: replays a golden scenario and writes the trace a recorder would have
 * written, in synchronous mode and with the asynchronous engine core's queue of two batches.
 */

import { digest, type GoldenScenario, type Replay, type StepLine } from '../../parity/golden.js';
import { EngineCore, put } from './engine-core.js';

/** Empty calls in a row after which a scenario with nothing to come is stuck. */
export const STUCK_AFTER = 3;

export function replay(scenario: GoldenScenario): Required<Replay> {
  const core = new EngineCore(scenario.config, scenario.requests);
  const lines: StepLine[] = [];
  const done = () => core.idle && !core.nextArrival;
  for (let step = 0; !done(); step++) {
    if (core.idle) step = Math.max(step, core.nextArrival!.spec.at);
    const line = runStep(core, step);
    lines.push(scenario.trace === 'digest' ? digest(line) : line);
    if (isStuck(core, step)) return { lines, summary: core.summary('stuck') };
    if (core.numCalls >= (scenario.max_steps ?? Number.POSITIVE_INFINITY)) {
      return { lines, summary: core.summary('max_steps') };
    }
  }
  return { lines, summary: core.summary('done') };
}

function runStep(core: EngineCore, step: number): StepLine {
  const line: StepLine = { s: step };
  put(line, 'add', core.arrive(step));
  put(line, 'abort', abortDue(core, step, 'before'));
  const call = core.schedule(step, line);
  const then = core.blocks;
  put(line, 'abort2', abortDue(core, step, 'during'));
  const batch = core.popBatch(call);
  if (batch) core.update(batch, step, line);
  core.close(line, then);
  return line;
}

/** Rule 32: "before" the schedule call, or "during" the step, between the call and its update. */
function abortDue(core: EngineCore, step: number, when: 'before' | 'during'): number[] {
  return core.requests
    .slice(0, core.numAdded)
    .filter(({ spec }) => spec.abort?.[0] === step && spec.abort[1] === when)
    .filter((request) => core.abort(request, step))
    .map(({ id }) => id);
}

/** Rule 14: requests wait, nothing moves them, and nothing else is to come. */
function isStuck(core: EngineCore, step: number): boolean {
  if (core.numEmptyCalls < STUCK_AFTER || core.scheduler.numUnfinished === 0) return false;
  const toCome = core.requests.some(({ ended, spec }) => {
    return !ended && spec.abort !== undefined && spec.abort[0] > step;
  });
  return core.nextArrival === undefined && !toCome;
}
