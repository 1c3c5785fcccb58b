/** The files a run writes while it goes on. Each writer is loaded only when it was asked for. */

import type { Composition } from '../config/composition.js';
import { ConfigError } from '../core/errors.js';
import { nsFromMs } from '../core/units.js';
import type { FileTracer, TraceEvents } from '../report/chrome-trace.js';
import { hardwareLabel } from '../report/run.js';
import { instancesOf } from './compose.js';
import type { Flags } from './simulate-flags.js';
import { listOf, numberOf } from './values.js';

/** The flags that write a file about one run, and how they are stored. */
export const RUN_FILES = [
  ['saveRequests', '--save-requests'],
  ['traceOut', '--trace-out'],
  ['timeline', '--timeline'],
] as const;

/** Whether any of them, or a flag that goes with them, was given. */
export const asksForFiles = (flags: Flags): boolean =>
  [...RUN_FILES.map(([key]) => key), 'traceEvents', 'timelineInterval'].some(
    (key) => flags[key] !== undefined,
  );

const DEFAULT_INTERVAL_MS = 1000;

/** Refuses values of these flags before anything is simulated. */
export async function openRunFiles(flags: Flags, composition: Composition): Promise<FileTracer[]> {
  const files: FileTracer[] = [];
  const text = (key: string) => (typeof flags[key] === 'string' ? flags[key] : undefined);
  const needs = (key: string, flag: string, file: string) => {
    if (text(key) === undefined || text(file === '--timeline' ? 'timeline' : 'traceOut')) return;
    throw new ConfigError(file, `a file to write, beside ${flag}`, undefined);
  };
  needs('traceEvents', '--trace-events', '--trace-out');
  needs('timelineInterval', '--timeline-interval', '--timeline');
  const rows = text('saveRequests');
  if (rows !== undefined) {
    const { RequestRows } = await import('../report/request-rows.js');
    files.push(new RequestRows(rows));
  }
  const trace = text('traceOut');
  if (trace !== undefined) {
    const { chromeTrace, TRACE_EVENTS } = await import('../report/chrome-trace.js');
    const events = eventsOf(text('traceEvents'), TRACE_EVENTS);
    files.push(chromeTrace({ path: trace, events, instances: instanceNames(composition) }));
  }
  const states = text('timeline');
  if (states !== undefined) {
    const { timeline } = await import('../report/timeline.js');
    const intervalNs = intervalOf(text('timelineInterval'));
    const numBlocks = instanceNames(composition).map((instance) => instance.numBlocks);
    files.push(timeline({ path: states, intervalNs, numBlocks }));
  }
  return files;
}

function eventsOf(text: string | undefined, known: readonly TraceEvents[]): TraceEvents[] {
  const given = text === undefined ? [...known] : listOf('--trace-events', text);
  for (const name of given) {
    if ((known as readonly string[]).includes(name)) continue;
    throw new ConfigError('--trace-events', `some of ${known.join(', ')}`, name);
  }
  return given as TraceEvents[];
}

function intervalOf(text: string | undefined): number {
  const ms = text === undefined ? DEFAULT_INTERVAL_MS : numberOf('--timeline-interval', text);
  if (nsFromMs(ms) >= 1) return nsFromMs(ms);
  throw new ConfigError('--timeline-interval', 'milliseconds above 0', text);
}

/** What to call each instance, and the KV blocks it can use (all but block 0). */
function instanceNames({ pools }: Composition): { name: string; numBlocks: number }[] {
  const all = pools.flatMap((pool, i) => instancesOf(pool, i).map(() => pool));
  return all.map((pool, i) => ({
    name: `instance ${i}: ${pool.spec.model.name} on ${hardwareLabel(pool)}`,
    numBlocks: pool.scheduler.numGpuBlocks - 1,
  }));
}
