/**
 * How fast the engine is, in process: simulated output tokens per second, for loads that differ
 * in what limits them. By the wall; the CPU time, which includes compiling on other
 * cores, says how far to trust it on a machine that is not alone.
 * `tsx benchmarks/engine/throughput.ts [--size 0.1] [--only TEXT]`
 */

import { parseArgs } from 'node:util';
import { simulate } from '../../src/core/simulate.js';
import type { TokenBatch, Tracer } from '../../src/core/trace/tracer.js';
import { affineCost, type Case, cases } from './loads.js';

/** Reads every handle, as a subscriber does. */
class Listener implements Tracer {
  handles = 0;

  tokens({ handles, count }: TokenBatch): void {
    for (let i = 0; i < count; i++) this.handles += handles[i]!;
  }
}

function measure(one: Case): { seconds: number; row: string[] } {
  const { load, scheduler, acceptance } = one;
  const beganAt = performance.now();
  const startedAt = process.cpuUsage();
  const report = simulate({
    instances: [{ pool: 0, scheduler, cost: affineCost, ...(acceptance && { acceptance }) }],
    router: 'round_robin',
    seed: 1,
    inputLatencyNs: 0,
    workload: load,
    ...(one.tokens && { tracers: [new Listener()] }),
  });
  const { user, system } = process.cpuUsage(startedAt);
  const seconds = (performance.now() - beganAt) / 1e3;
  const cpuSeconds = (user + system) / 1e6;
  const instance = report.instances[0]!;
  return {
    seconds,
    row: [
      `${report.completed}`,
      seconds.toFixed(2),
      cpuSeconds.toFixed(2),
      (report.totalOutputTokens / seconds / 1e6).toFixed(0),
      ((seconds * 1e9) / report.submitted).toFixed(0),
      (instance.numSteps / report.submitted).toFixed(2),
      ((instance.numPreemptions / report.submitted) * 100).toFixed(2),
      `${instance.peakWaiting}`,
      ((instance.prefixHits / Math.max(1, instance.prefixQueries)) * 100).toFixed(0),
    ],
  };
}

const HEADER = [
  'load',
  'requests',
  'wall s',
  'CPU s',
  'M tokens/s',
  'goal',
  'ns/request',
  'steps/request',
  'preempted %',
  'most waiting',
  'hit %',
];

const { values } = parseArgs({
  options: { size: { type: 'string', default: '1' }, only: { type: 'string', default: '' } },
});
const rows = [HEADER];
for (const one of cases(Number(values.size))) {
  if (!one.name.includes(values.only)) continue;
  const { row } = measure(one);
  const goal = one.goal ? (one.goal / 1e6).toFixed(0) : '';
  rows.push([one.name, ...row.slice(0, 4), goal, ...row.slice(4)]);
}
const widths = HEADER.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
for (const row of rows) {
  const cells = row.map((cell, i) =>
    i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!),
  );
  console.log(cells.join('  '));
}
const { rss, heapUsed } = process.memoryUsage();
console.log(
  `resident ${(rss / 2 ** 20).toFixed(0)} MB, heap ${(heapUsed / 2 ** 20).toFixed(0)} MB`,
);
