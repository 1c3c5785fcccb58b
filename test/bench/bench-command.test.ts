import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningServer } from '../../src/cli/commands/server.js';
import { cli } from '../cli/run-cli.js';
import { interruptedAtFirstAnswer, startTestServer } from './server.js';

let folder: string;
let server: RunningServer;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bench-'));
  server = await startTestServer({
    servedModelName: ['meta-llama/Llama-2-7b-hf', 'gpt-4'],
    speed: 'inf',
    timeToFirstToken: '20',
    interTokenLatency: '5',
  });
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

const bench = (line: string) => cli(`bench --base-url ${server.url} --disable-tqdm ${line}`);
const json = async (line: string) => {
  const { code, out, err } = await bench(`${line} --json`);
  expect([code, err]).toEqual([0, '']);
  return JSON.parse(out);
};

const LLAMA = '--backend vllm --model meta-llama/Llama-2-7b-hf';
const GPT = '--backend openai-chat --model gpt-4';
const SHAREGPT = '--dataset-name sharegpt --dataset-path examples/datasets/sharegpt.json';
/** The page's rates, twenty times as fast, and a fifth of its requests. */
const COMMANDS: readonly [about: string, line: string, numRequests: number][] = [
  ['OpenAI API', `${GPT} --dataset-name random --num-prompts 10 --request-rate 20`, 10],
  ['vLLM server', `${LLAMA} ${SHAREGPT} --num-prompts 20 --request-rate 200`, 20],
  [
    'own data set',
    `${GPT} --dataset-name custom --dataset-path examples/datasets/custom.jsonl --num-prompts 3`,
    3,
  ],
  [
    'most throughput',
    `${LLAMA} --dataset-name random --num-prompts 200 --request-rate inf --max-concurrency 100`,
    200,
  ],
  ['stability', `${GPT} ${SHAREGPT} --num-prompts 100 --request-rate 200 --burstiness 1.0`, 100],
  [
    'ramp',
    `${LLAMA} --dataset-name random --num-prompts 100 --ramp-up-strategy linear --ramp-up-start-rps 20 --ramp-up-end-rps 1000`,
    100,
  ],
  [
    'goodput',
    `${LLAMA} ${SHAREGPT} --num-prompts 40 --request-rate 200 --goodput ttft:200 tpot:50 e2el:5000`,
    40,
  ],
];

describe('bench, the commands of the requirement', () => {
  it.each(COMMANDS)('%s', async (_, line, numRequests) => {
    const { code, out } = await bench(line);
    expect(code).toBe(0);
    expect(out).toContain(`Successful requests:                     ${numRequests} `);
    expect(out).toContain('Failed requests:                         0 ');
    for (const name of ['TTFT', 'TPOT', 'ITL', 'E2EL']) {
      expect(out).toMatch(new RegExp(`Median ${name} \\(ms\\): +\\d+\\.\\d\\d`));
    }
  });

  it.each([
    ['sonnet', '--dataset-path examples/datasets/sonnet.txt'],
    ['burstgpt', '--dataset-path examples/datasets/burstgpt.csv'],
    ['hf', '--dataset-path examples/datasets/questions.jsonl'],
    ['custom', '--dataset-path examples/datasets/messages.jsonl --backend openai-chat'],
  ])('reads %s', async (name, rest) => {
    const result = await json(`--backend vllm --dataset-name ${name} --num-prompts 12 ${rest}`);
    expect([result.completed, result.failed]).toEqual([12, 0]);
    expect(result.total_input_tokens).toBeGreaterThan(100);
  });
});

describe('bench', () => {
  const SMALL = `${LLAMA} --num-prompts 20 --random-input-len 50 --random-output-len 8`;

  it("has vLLM's keys in its result", async () => {
    const result = await json(`${SMALL} --save-detailed --result-dir ${folder}`);
    expect(Object.keys(result)).toEqual([
      ...['date', 'endpoint_type', 'backend', 'label', 'model_id', 'tokenizer_id', 'num_prompts'],
      ...['request_rate', 'burstiness', 'max_concurrency', 'duration', 'completed', 'failed'],
      ...['total_input_tokens', 'total_output_tokens', 'request_throughput', 'request_goodput'],
      ...['input_throughput', 'output_throughput', 'total_token_throughput'],
      ...['max_output_tokens_per_s', 'max_concurrent_requests'],
      ...['input_lens', 'output_lens', 'ttfts', 'itls', 'latencies', 'start_times'],
      ...['queue_times', 'generated_texts', 'errors'],
      ...['ttft', 'tpot', 'itl', 'e2el'].flatMap((name) =>
        ['mean', 'median', 'std', 'p99'].map((kind) => `${kind}_${name}_ms`),
      ),
      'client',
    ]);
    expect(result).toMatchObject({ request_rate: 'inf', completed: 20, total_output_tokens: 160 });
    expect(result.output_lens).toEqual(new Array(20).fill(8));
    expect(result.client.token_sources).toEqual({ usage: 20, tokenizer: 0, estimate: 0 });
    const [file] = readdirSync(folder).filter((name) => name.startsWith('vllm-infqps-'));
    expect(file).toMatch(/^vllm-infqps-Llama-2-7b-hf-\d{8}-\d{6}\.json$/);
  });

  it('sends prompts of exactly the length it was asked for', async () => {
    const result = await json(
      `${SMALL} --random-range-ratio 0.5 --random-prefix-len 30 --save-detailed --result-dir ${folder}`,
    );
    for (const length of result.input_lens) {
      expect(length).toBeGreaterThanOrEqual(30 + 25);
      expect(length).toBeLessThanOrEqual(30 + 75);
    }
    expect(new Set(result.input_lens).size).toBeGreaterThan(5);
  });

  it('spreads inputs and outputs by ratios of their own', async () => {
    const result = await json(
      `${SMALL} --random-range-ratio '{"input":0,"output":0.5}' --save-detailed --result-dir ${folder}`,
    );
    expect(new Set(result.input_lens)).toEqual(new Set([50]));
    expect(new Set(result.output_lens).size).toBeGreaterThan(3);
  });

  it('probes the server beside the load, and counts neither in the other', async () => {
    const load = `${SMALL} --request-rate 200 --probe-request-rate 1000 --max-concurrency 2`;
    const result = await json(load);
    expect([result.completed, result.probe_failed]).toEqual([20, 0]);
    expect(result.probe_completed).toBeGreaterThan(0);
    expect(result.max_concurrent_requests).toBeLessThanOrEqual(2);
    const { out } = await bench(load);
    expect(out).toMatch(/-{18}Probe Requests-{18}\nProbe requests completed: +[1-9]/);
  });

  it('writes plots beside the result', async () => {
    const file = join(folder, 'plotted.json');
    const plots = '--plot-timeline --timeline-itl-thresholds 5,20,60 --plot-dataset-stats';
    const { code, out } = await bench(`${SMALL} --save-result ${file} ${plots}`);
    expect(code).toBe(0);
    for (const kind of ['timeline', 'dataset_stats']) {
      const path = join(folder, `plotted.${kind}.html`);
      expect(out).toContain(`Plot: ${path}`);
      expect(readFileSync(path, 'utf8')).toContain('<svg');
    }
  });

  it('says when the recording it replays was cut off', async () => {
    const file = join(folder, 'cut.jsonl');
    await bench(`${SMALL} --request-rate 200 --record ${file}`);
    writeFileSync(file, readFileSync(file, 'utf8').slice(0, -20));
    const { out, err } = await bench(`${LLAMA} --trace ${file} --json --disable-tqdm`);
    expect(err).toBe(`warning: ${file}:20: the last line is cut off; it is left out\n`);
    expect(JSON.parse(out).completed).toBe(19);
  });

  it('appends results, and adds metadata and percentiles', async () => {
    const file = join(folder, 'all.jsonl');
    const save = `--save-result --append-result --result-dir ${folder} --result-filename all.jsonl`;
    for (const step of ['1', '2']) {
      const { code } = await bench(
        `${SMALL} ${save} --metadata step=${step} --metric-percentiles 50,99.9`,
      );
      expect(code).toBe(0);
    }
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    const results = lines.map((line) => JSON.parse(line));
    expect(results.map(({ step }) => step)).toEqual(['1', '2']);
    expect(results[0]['p99.9_ttft_ms']).toBeGreaterThan(0);
    expect(results[0].ttfts).toBeUndefined();
  });

  it('writes rows that can be replayed as a trace', async () => {
    const rows = join(folder, 'rows.jsonl');
    await bench(`${SMALL} --request-rate 200 --save-requests ${rows}`);
    const [first] = readFileSync(rows, 'utf8').split('\n');
    expect(JSON.parse(first!)).toMatchObject({ prompt_tokens: 50, output_tokens: 8 });
    const replayed = await json(`${LLAMA} --trace ${rows} --trace-speed 2`);
    expect([replayed.completed, replayed.total_output_tokens]).toEqual([20, 160]);
  });

  it('never prints or stores a key', async () => {
    const { out, err } = await bench(
      `${SMALL} --api-key sk-very-secret --header x-token=hush-hush --json --num-prompts 2`,
    );
    expect(out + err).not.toMatch(/sk-very-secret|hush-hush/);
  });

  it('asks the server for its model', async () => {
    const result = await json('--num-prompts 2 --random-input-len 8 --random-output-len 2');
    expect(result.model_id).toBe('meta-llama/Llama-2-7b-hf');
  });

  it('reports what failed and says so in its exit code', async () => {
    const { code, out } = await bench(`--model nobody --num-prompts 3 --random-input-len 8`);
    expect(code).toBe(1);
    expect(out).toContain('Failed requests:                         3 ');
    expect(out).toMatch(/Failed \(http_404\): 3\. For example: 404 .*nobody/);
  });

  it('reports what was measured when it is interrupted', async () => {
    const { code, out } = await cli(
      `bench --base-url ${server.url} ${LLAMA} --num-prompts 5000 --request-rate 100 --random-output-len 4 --random-input-len 8`,
      interruptedAtFirstAnswer(),
    );
    expect(code).toBe(130);
    expect(out).toContain('Stopped before its end');
    expect(out).toMatch(/Successful requests: +[1-9]/);
    expect(out).toContain('Failed requests:                         0 ');
  });

  it('stops sending when the time is over', async () => {
    const result = await json(
      `${LLAMA} --num-prompts 1000 --request-rate 100 --burstiness inf --duration 0.3 --random-output-len 2 --random-input-len 8`,
    );
    expect(result.completed).toBeGreaterThan(10);
    expect(result.completed).toBeLessThanOrEqual(30);
  });

  it.each([
    ['--backend vlm', '--backend: expected openai,'],
    ['--dataset-name sharegtp', 'Did you mean sharegpt?'],
    ['--dataset-name sharegpt', '--dataset-path: expected a ShareGPT file'],
    ['--request-rate 0', '--request-rate: expected requests per second'],
    ['--ramp-up-start-rps 3', '--ramp-up-strategy: expected linear or exponential'],
    ['--goodput ttft', '--goodput: expected bounds'],
    ['--tokenizer-mode mistral', '--tokenizer-mode: expected auto or slow'],
    ['--backend tgi --temperature 0', '--temperature: expected a backend that takes it'],
    ['--endpoint /v1/chat/completions/x', '--endpoint: expected a path like /v1/completions'],
    ['--header nonsense', '--header: expected KEY=VALUE'],
    ['--extra-body {', '--extra-body: expected a JSON object'],
    ['--num-warmups -3', '--num-warmups: expected a whole number of at least 0, got -3'],
    ['--max-retries -1', '--max-retries: expected a whole number of at least 0'],
    ['--duration -1', '--duration: expected a number of at least 0'],
    ['--request-timeout-sec 0', '--request-timeout-sec: expected seconds above 0'],
    ['--probe-request-rate -1', '--probe-request-rate: expected a number of at least 0'],
    [
      '--timeline-itl-thresholds 50,25',
      '--timeline-itl-thresholds: expected up to 5 rising bounds',
    ],
    ['--tokenizer ./none', '--tokenizer: expected a readable file, got "./none"'],
    [
      '--ramp-up-strategy linear',
      '--ramp-up-start-rps: expected a rate of at least 0, got nothing',
    ],
    ['--save-result --result-dir /nowhere/at/all', '--result-dir: expected a folder that can be'],
    ['--append-result', '--append-result: expected --result-filename'],
  ])('refuses %s', async (line, message) => {
    const { code, out, err } = await bench(`--model m ${line}`);
    expect([code, out]).toEqual([1, '']);
    expect(err).toContain(message);
  });
});
