import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cli } from './run-cli.js';

const ON = '--model qwen/Qwen3-8B --hardware A100';

let folder: string;
const file = (name: string, text: string) => writeFileSync(join(folder, name), text);
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bad-input-'));
  file('empty.csv', '');
  file('bad.csv', 'TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.97,x,10\n');
  file('field.yaml', 'pools:\n  - {model: qwen/Qwen3-8B, hardware: A100, optoins: {}}\n');
  file(
    'rate.yaml',
    'pools:\n  - {model: qwen/Qwen3-8B, hardware: A100}\nworkload: {request_rate: -2}\n',
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Command line, and what the error must say. `$` is the folder of broken files. */
const CASES: readonly (readonly [line: string, ...says: string[]])[] = [
  ['simulat', "unknown command 'simulat'", 'simulate'],
  ['help nothing', "unknown command 'nothing'"],
  [`simulate ${ON} --request-rat 5`, "unknown option '--request-rat'", '--request-rate'],
  [`simulate ${ON} extra`, 'too many arguments'],
  ['simulate --hardware A100', '--model: expected a name, got nothing', 'list-models'],
  ['simulate --model qwen/Qwen3-8B', '--hardware: expected a name', 'list-hardware'],
  ['simulate --model qwen/Qwen3-8 --hardware A100', '--model', 'qwen/Qwen3-8B?'],
  ['simulate --model qwen/Qwen3-8B --hardware A1000', '--hardware', 'A100?'],
  [`simulate ${ON} --hardware A100,A1000`, '--hardware', 'A100?'],
  [`simulate ${ON} --engine vlm`, '--engine', 'vllm?'],
  [`simulate ${ON} --router robin`, '--router: expected round_robin'],
  [`simulate ${ON} --scheduling-policy lifo`, '--scheduling-policy: expected fcfs'],
  [`simulate ${ON} -tp 5`, '--tensor-parallel-size: expected a divisor of the 32', 'got 5'],
  [`simulate ${ON} --npu-num 4 -tp 2`, '--npu-num: expected the product'],
  [
    'simulate --model meta-llama/Llama-3.1-70B-Instruct --hardware A100',
    'weights',
    'would fit: 2 GPUs',
  ],
  [
    `simulate ${ON} --request-rate -1`,
    '--request-rate: expected requests per second above 0, or inf, got -1',
  ],
  [`simulate ${ON} --request-rate fast`, '--request-rate: expected a number or inf, got "fast"'],
  [`simulate ${ON} --request-rate 2,,4`, '--request-rate: expected a value, or several'],
  [`simulate ${ON} --num-prompts many`, '--num-prompts: expected a whole number, got "many"'],
  [`simulate ${ON} --num-prompts 0`, '--num-prompts: expected a whole number of at least 1'],
  [`simulate ${ON} --block-size 0`, '--block-size: expected a whole number of at least 1, got 0'],
  [
    `simulate ${ON} --gpu-memory-utilization 1.5`,
    '--gpu-memory-utilization: expected a number above 0 and at most 1',
  ],
  [`simulate ${ON} --random-range-ratio 1`, '--random-range-ratio: expected a number in [0, 1)'],
  [
    `simulate ${ON} --random-range-ratio {"in":0.3}`,
    '--random-range-ratio: expected a number, or {"input": 0.3, "output": 0.5}',
  ],
  [`simulate ${ON} --dataset-name sharegpt`, '--dataset-name: expected random'],
  [
    `simulate ${ON} --ramp-up-strategy steep --ramp-up-start-rps 1 --ramp-up-end-rps 2`,
    '--ramp-up-strategy: expected linear or exponential',
  ],
  [`simulate ${ON} --ramp-up-strategy linear --ramp-up-start-rps 1`, '--ramp-up-end-rps'],
  [`simulate ${ON} --goodput ttft`, '--goodput: expected bounds in ms'],
  [`simulate ${ON} --goodput speed:4`, '--goodput: expected bounds in ms'],
  [`simulate ${ON} --find-rate`, '--find-rate: expected bounds to meet'],
  [
    `simulate ${ON} --metric-percentiles 101`,
    '--metric-percentiles: expected numbers above 0 and below 100',
  ],
  [`simulate ${ON} --seed -1`, '--seed: expected a whole number from 0'],
  [`simulate ${ON} --trace-speed 2`, '--trace: expected a trace file'],
  [`simulate ${ON} --trace $/none.csv`, '--trace: expected a readable file', 'none.csv'],
  [`simulate ${ON} --trace $/empty.csv`, 'empty.csv: expected a trace, got "an empty file"'],
  [
    `simulate ${ON} --trace $/bad.csv`,
    'bad.csv:2: ContextTokens: expected a whole number of tokens, at least 1, got "x"',
  ],
  [`simulate ${ON} --trace $/bad.csv --trace-format mooncak`, '--trace-format', 'mooncake?'],
  ['simulate --config $/none.yaml', '--config: expected a readable scenario file'],
  ['simulate --config $/field.yaml', 'field.yaml: pools[0].optoins', 'options?'],
  [
    'simulate --config $/rate.yaml',
    'rate.yaml: workload.request_rate: expected requests per second above 0, or inf, got -2',
  ],
  ['simulate --config $/rate.yaml --request-rate -3', 'error: --request-rate: expected'],
  [
    `simulate ${ON} --save-result $/no/such/r.json`,
    '--save-result: expected a file that can be written',
  ],
  [
    `simulate ${ON} --save-requests $/no/such/r.csv`,
    '--save-requests: expected a file that can be written',
  ],
  [
    `simulate ${ON} --request-rate 1,2 --save-requests $/r.csv`,
    '--save-requests: expected a single run',
  ],
  [`simulate ${ON} --multi-turn-delay-ms 5`, '--multi-turn: expected to be given'],
  [`simulate ${ON} --multi-turn --multi-turn-num-turns 0`, '--multi-turn-num-turns: expected'],
  [
    `simulate ${ON} --multi-turn --multi-turn-num-turns 2 --multi-turn-max-turns 4`,
    '--multi-turn-num-turns: expected a number of turns, or',
  ],
  [
    `simulate ${ON} --multi-turn --trace examples/traces/azure-2023-conversation.csv`,
    '--multi-turn: expected drawn lengths',
  ],
  [`simulate ${ON} --price-per-gpu-hour cheap`, '--price-per-gpu-hour: expected a number'],
  [`simulate ${ON} --workers 0 --hardware A100,H100`, '--workers: expected a whole number'],
];

describe('bad input', () => {
  it.each(CASES)('%s', async (line, ...says) => {
    const { code, out, err } = await cli(line.replaceAll('$', folder));
    expect(code).toBe(1);
    expect(out).toBe('');
    expect(err.trimEnd().split('\n').length).toBeLessThanOrEqual(12);
    expect(err).not.toMatch(/\n\s+at /);
    for (const text of says) expect(err).toContain(text);
  });
});
