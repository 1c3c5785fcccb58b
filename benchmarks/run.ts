/**
 * `npm run benchmark`: the project's own figures, one table per part, and ratios where the other side is
 * installed. Nothing here is asserted: machines differ, ratios of one run last longer than numbers.
 *
 *   npm run benchmark                       every part
 *   npm run benchmark -- whole-process      one of them
 *   DYNOSIM_PYTHON=… DYNOSIM_SCRIPT=…       a Python with ai-dynamo-runtime, and the script that runs it
 */

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { cpus } from 'node:os';
import { wholeProcess } from './whole-process.js';

/** Parts that are scripts of their own. */
const SCRIPTS: Readonly<Record<string, readonly string[]>> = {
  engine: ['benchmarks/engine/throughput.ts', 'benchmarks/engine/step-cost.ts'],
  facade: existsSync('benchmarks/facade')
    ? readdirSync('benchmarks/facade')
        .filter((name) => name === 'run.ts')
        .map((name) => `benchmarks/facade/${name}`)
    : [],
  client: ['benchmarks/client/client.ts', 'benchmarks/client/agreement.ts'],
};

const wanted = process.argv.slice(2);
const includes = (part: string) => wanted.length === 0 || wanted.includes(part);

const known = ['whole-process', ...Object.keys(SCRIPTS)];
const unknown = wanted.filter((part) => !known.includes(part));
if (unknown.length > 0) {
  console.error(`error: no benchmark called ${unknown.join(', ')}; there are ${known.join(', ')}`);
  process.exit(1);
}

console.log(
  `${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores, Node ${process.version}\n`,
);
if (includes('whole-process')) wholeProcess();
for (const [part, scripts] of Object.entries(SCRIPTS)) {
  if (!includes(part)) continue;
  for (const script of scripts) {
    console.log(`\n${part}: ${script}`);
    const { status } = spawnSync('npx', ['tsx', script], { stdio: 'inherit' });
    if (status !== 0) process.exitCode = 1;
  }
}
