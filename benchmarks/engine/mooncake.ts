/**
 * A recorded trace with shared prefixes, on one instance with a prefix cache:
 * `tsx benchmarks/engine/mooncake.ts TRACE.jsonl [--block-size 16]`. CPU time of the engine alone, reading
 * aside, and the memory of the whole process.
 */

import { parseArgs } from 'node:util';
import { ConfigError } from '../../src/core/errors.js';
import { simulate } from '../../src/core/simulate.js';
import type { Arrival } from '../../src/core/workload/workload.js';
import { openTrace } from '../../src/files/trace-reader.js';
import { affineCost, SCHEDULER } from './loads.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'block-size': { type: 'string', multiple: true, default: ['16', '512'] } },
});
const [file] = positionals;
if (!file) throw new ConfigError('TRACE', 'a Mooncake trace', 'none');

for (const blockSize of values['block-size'].map(Number)) {
  const rows: Arrival[] = [];
  const source = openTrace({ path: file });
  for (let row = source.next(); row; row = source.next()) rows.push(row);
  let next = 0;
  const startedAt = process.cpuUsage();
  const report = simulate({
    instances: [
      {
        pool: 0,
        cost: affineCost,
        scheduler: {
          ...SCHEDULER,
          blockSize,
          numGpuBlocks: Math.floor(3_000_000 / blockSize),
          maxModelLen: 200_000,
          enablePrefixCaching: true,
        },
      },
    ],
    router: 'round_robin',
    seed: 1,
    inputLatencyNs: 0,
    workload: { next: () => rows[next++] },
  });
  const { user, system } = process.cpuUsage(startedAt);
  const { prefixHits, prefixQueries, numPreemptions, numSteps } = report.instances[0]!;
  console.log(
    [
      `blocks of ${blockSize}`,
      `${report.completed} requests`,
      `${(report.totalInputTokens / 1e6).toFixed(1)} M prompt tokens`,
      `hit ${((prefixHits / prefixQueries) * 100).toFixed(1)} %`,
      `${numPreemptions} preempted`,
      `${numSteps} steps`,
      `${((user + system) / 1e6).toFixed(3)} s CPU`,
      `${(process.memoryUsage().rss / 2 ** 20).toFixed(0)} MB`,
    ].join(', '),
  );
}
