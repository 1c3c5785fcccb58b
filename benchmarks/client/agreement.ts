/**
 * Whether measuring and simulating agree: `bench` against our server under wall time, and `simulate`, on
 * the same load and the same virtual hardware. `npx tsx benchmarks/client/agreement.ts`, after `npm run
 * build`. What is left between them is the way through HTTP: TTFT within 2 % or 3 ms, TPOT and E2E
 * within 2 %.
 */

import { execFileSync, spawn } from 'node:child_process';

const MODEL = 'meta-llama/Llama-2-7b-hf';
const BIN = 'src/cli/bin.js';
const ENGINE = ['--model', MODEL, '--hardware', 'H100'];
/** A load that batches and one that queues. */
const LOADS: readonly (readonly [about: string, flags: readonly string[]])[] = [
  ['10/s', ['--request-rate', '10', '--num-prompts', '200']],
  ['30/s', ['--request-rate', '30', '--num-prompts', '400']],
];
const LENGTHS = [
  ...['--random-input-len', '512', '--random-output-len', '128', '--random-range-ratio', '0.3'],
  ...['--seed', '7'],
];

const run = (args: readonly string[]): Record<string, number> =>
  JSON.parse(execFileSync(process.execPath, [BIN, ...args], { encoding: 'utf8' }));

const server = spawn(process.execPath, [BIN, 'server', ...ENGINE, '--port=0', '--grpc-port=0'], {
  stdio: ['ignore', 'pipe', 'ignore'],
});
const url = await new Promise<string>((resolve) => {
  let said = '';
  server.stdout.on('data', (bytes: Buffer) => {
    said += bytes.toString('utf8');
    const found = /OpenAI +(http:\S+)/.exec(said)?.[1];
    if (found !== undefined) resolve(found);
  });
});

console.log('load     median of   simulated ms   measured ms   difference');
for (const [about, flags] of LOADS) {
  const target = ['--base-url', url, '--backend', 'vllm', '--model', MODEL, '--disable-tqdm'];
  const measured = run([
    'bench',
    ...target,
    ...flags,
    ...LENGTHS,
    '--num-warmups',
    '300',
    '--json',
  ]);
  const simulated = run(['simulate', ...ENGINE, ...flags, ...LENGTHS, '--json']);
  for (const metric of ['ttft', 'tpot', 'e2el']) {
    const [a, b] = [simulated, measured].map((result) => result[`median_${metric}_ms`]!);
    const percent = (100 * (b! - a!)) / a!;
    console.log(
      `${about.padEnd(8)} ${metric.toUpperCase().padEnd(11)} ${a!.toFixed(3).padStart(12)} ` +
        `${b!.toFixed(3).padStart(13)}   ${(b! - a!).toFixed(2)} ms, ${percent.toFixed(2)} %`,
    );
  }
}
server.kill();
