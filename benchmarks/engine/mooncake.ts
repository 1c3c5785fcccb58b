/**
 * A recorded trace with shared prefixes, on one instance with a prefix cache:
 * `tsx benchmarks/engine/mooncake.ts TRACE.jsonl [--block-size 16]`. CPU time of the engine alone, reading
 * aside, and the memory of the whole process. With DYNOSIM_PYTHON (a Python that has ai-dynamo-runtime)
 * the same on DynoSim, one worker, as wall time of the simulation alone on both sides.
 */

import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { ConfigError } from '../../src/core/errors.js';
import { simulate } from '../../src/core/simulate.js';
import type { Arrival } from '../../src/core/workload/workload.js';
import { openTrace } from '../../src/files/trace-reader.js';
import { affineCost, SCHEDULER } from './loads.js';

const TOKENS_OF_KV = 3_000_000;

/** Seconds DynoSim takes for the trace, its start and imports aside. */
function peerSeconds(python: string, trace: string, blockSize: number): number {
  const program = `
import dynamo._core as core, json, sys, time
started = time.perf_counter()
core.run_mocker_trace_replay([sys.argv[1]], trace_block_size=512, num_workers=1, extra_engine_args=sys.argv[2])
print(time.perf_counter() - started)`;
  const engine = { block_size: blockSize, num_gpu_blocks: Math.floor(TOKENS_OF_KV / blockSize) };
  const args = ['-c', program, trace, JSON.stringify({ engine })];
  const { stdout, stderr, status } = spawnSync(python, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return Number(stdout.trim().split('\n').at(-1));
}

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
  const beganAt = performance.now();
  const startedAt = process.cpuUsage();
  const report = simulate({
    instances: [
      {
        pool: 0,
        cost: affineCost,
        scheduler: {
          ...SCHEDULER,
          blockSize,
          numGpuBlocks: Math.floor(TOKENS_OF_KV / blockSize),
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
  const seconds = (performance.now() - beganAt) / 1e3;
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
  const python = process.env.DYNOSIM_PYTHON;
  if (!python) continue;
  const peer = peerSeconds(python, file, blockSize);
  console.log(
    `  DynoSim ${peer.toFixed(2)} s, here ${seconds.toFixed(2)} s of wall: ratio ${(seconds / peer).toFixed(3)}`,
  );
}
