/**
 * Callers who read nothing for a minute: `tsx benchmarks/rpc/stalled-reader.ts [--seconds 60]`.
 *
 * One asks for every token of a run of a million requests in virtual time, one for its recording, one for
 * the same run on the wall clock, and some for long answers of the live cluster. None of them reads. The
 * engine has to wait in virtual time, tokens have to add up on the wall clock, the server's memory has to
 * stay where it is, and others have to be served. Then the answers are read: few messages, all tokens.
 * Exits 1 if not. The server is a process of its own, from the built package.
 */

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { SimulateService, StatusService } from '../../gen/llmservingsim/v1/service_pb.js';
import { grpcClient, unary } from '../../test/rpc/support.js';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '60' } } });
const SECONDS = Number(values.seconds);
/** By then the engine has finished the answers, at the speed below. */
const LEAST_SECONDS = 45;
if (!(SECONDS >= LEAST_SECONDS)) {
  console.error(`error: --seconds: expected at least ${LEAST_SECONDS}, got ${values.seconds}`);
  process.exit(1);
}
/** Until here buffers fill and code is compiled. */
const SETTLED_S = Math.min(15, SECONDS / 4);
/** What a garbage collector may leave lying about. */
const MAX_GROWTH_MB = 96;
const NUM_ANSWERS = 4;
const ANSWER_TOKENS = 100_000;
const PORT = 50_953;

const flags = ['--port', '0', '--grpc-port', String(PORT), '--speed', '40'];
const server = spawn('node', ['src/cli/bin.js', 'server', ...flags], {
  stdio: ['ignore', 'pipe', 'ignore'],
});
await new Promise((resolve, reject) => {
  server.stdout.once('data', resolve);
  server.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
});

const address = `127.0.0.1:${PORT}`;
const simulator = grpcClient(SimulateService, address);
const answers = grpcClient(SimulateService, address);
const status = grpcClient(StatusService, address);

const scenario = {
  pools: [{ model: 'meta-llama/Llama-3.1-8B-Instruct', hardware: 'H100' }],
  workload: {
    numPrompts: 1_000_000,
    requestRate: 20,
    source: { case: 'random', value: { randomInputLen: 100, randomOutputLen: 200 } },
  },
};
const runs = [
  simulator.simulate!({ scenario, detail: 'tokens' }),
  simulator.simulate!({ scenario, record: true }),
  simulator.simulate!({ scenario, detail: 'tokens', clock: 'wall', speed: 40 }),
];
const streams = Array.from({ length: NUM_ANSWERS }, () =>
  answers.generate!({
    prompt: { case: 'promptTokens', value: 100 },
    maxTokens: ANSWER_TOKENS,
    ignoreEos: true,
  }),
);
for (const call of runs) call.on('error', () => {});
// The client of grpc-js takes all there is until the first message was asked for: each reads one.
const readers = [...runs, ...streams].map((call) => call[Symbol.asyncIterator]());
const firsts = (await Promise.all(readers.map((reader) => reader.next()))).slice(runs.length);
const readersOfAnswers = readers.slice(runs.length) as AsyncIterator<Message>[];

interface Message {
  readonly numTokens: number;
}

const rssMb = (): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))![1]) / 1024;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

interface Status {
  readonly status: { readonly completedRequests: number; readonly runningRequests: number };
}
const statusNow = () => unary(status, 'getStatus', {}) as Promise<Status>;

let settledMb = 0;
let peakMb = 0;
let slowestMs = 0;
for (let second = 1; second <= SECONDS; second++) {
  await sleep(1000);
  const started = performance.now();
  await statusNow();
  slowestMs = Math.max(slowestMs, performance.now() - started);
  if (second <= SETTLED_S) settledMb = Math.max(settledMb, rssMb());
  else peakMb = Math.max(peakMb, rssMb());
}
const { completedRequests } = (await statusNow()).status;

const read = await Promise.all(
  readersOfAnswers.map(async (reader, i) => {
    const read = { messages: 0, tokens: 0, largest: 0 };
    for (let next = firsts[i]!; !next.done; next = await reader.next()) {
      const { numTokens } = next.value as Message;
      read.messages++;
      read.tokens += numTokens;
      read.largest = Math.max(read.largest, numTokens);
    }
    return read;
  }),
);
for (const call of runs) call.cancel();
await sleep(200);
const { runningRequests } = (await statusNow()).status;
for (const client of [simulator, answers, status]) client.close();
server.kill();

const sum = (of: (one: (typeof read)[number]) => number) =>
  read.reduce((total, one) => total + of(one), 0);
console.log(`${runs.length + streams.length} callers that read nothing for ${SECONDS} s
memory of the server, first ${SETTLED_S} s:  at most ${settledMb.toFixed(0)} MB
                      afterwards:  at most ${peakMb.toFixed(0)} MB
slowest GetStatus meanwhile:       ${slowestMs.toFixed(0)} ms
answers the engine had finished:   ${completedRequests} of ${NUM_ANSWERS}
then read:                         ${sum(({ tokens }) => tokens)} tokens in ${sum(({ messages }) => messages)} messages, the largest of ${Math.max(...read.map(({ largest }) => largest))}`);

const laws: readonly (readonly [string, boolean])[] = [
  ['memory stays where it is', peakMb - settledMb < MAX_GROWTH_MB],
  ['every token arrives', sum(({ tokens }) => tokens) === NUM_ANSWERS * ANSWER_TOKENS],
  ['tokens add up', sum(({ messages }) => messages) < (NUM_ANSWERS * ANSWER_TOKENS) / 20],
  ['nothing is left running', runningRequests === 0],
];
const broken = laws.filter(([, holds]) => !holds);
for (const [law] of broken) console.error(`not so: ${law}`);
process.exit(broken.length === 0 ? 0 : 1);
