/**
 * The flags of `simulate`, and what they ask for.
 *
 * Values stay text until `requestFromFlags`, which knows each flag's name when it refuses one. Flags
 * win over a scenario file; what neither says takes the engine's default.
 */

import { type Command, Option } from 'commander';
import { camelCase, ENGINE_OPTIONS } from '../config/engine-options.js';
import type { LoadRequest, PoolRequest, ScenarioRequest } from '../config/scenario-request.js';
import { speculativeFromJson } from '../config/speculative-config.js';
import { ConfigError } from '../core/errors.js';
import type { Slo } from '../core/metrics/report.js';
import type { PoolOptions } from '../core/scenario.js';
import { CONVERSATIONS } from './conversation-flags.js';
import { type Flags, flagName, Reader, type Row } from './flag-reader.js';
import { listOf, numberOf } from './values.js';

export { conversationsFromFlags } from './conversation-flags.js';
export { type Flags, flagName, Reader, type Row } from './flag-reader.js';

const RUNS: readonly Row[] = [
  ['--config <file>', 'scenario file (YAML or JSON); flags win over it'],
  ['--model <name>', 'model, as in list-models, or the path of a config.json; a,b compares'],
  ['--hardware <name>', 'GPU, as in list-hardware, or the path of a data sheet; a,b compares'],
  ['--engine <name>', 'whose software: vllm, vllm-0.9, trtllm, ...'],
  ['--num-instances <n>', 'instances (replicas) behind the router'],
  ['--router <name>', 'chooses an instance: round_robin, least_loaded, random'],
  ['--npu-num <n>', 'GPUs per instance'],
  ['--npu-mem <GiB>', 'memory per GPU, overriding the data sheet'],
  ['--calibration <file>', 'times fitted to a real server: a file of calibrate'],
  ['--perf-table <file>', 'measured operator times: a file of setup-perf'],
];

export const LOAD: readonly Row[] = [
  ['--trace <file>', 'replay a recorded trace; its format is recognised'],
  ['--trace-format <name>', 'azure, mooncake, llmservingsim, vidur, requests, requests-csv'],
  ['--trace-speed <x>', 'factor on the speed of its arrivals'],
  ['--trace-block-size <n>', 'tokens per hashed block (512)'],
  ['--num-prompts <n>', 'requests: 1000, or all of a trace'],
  ['--request-rate <r>', 'requests per second, or inf: all at once; 2,4,8 compares'],
  ['--burstiness <b>', 'gamma shape of the gaps: 1 Poisson, below burstier, inf constant'],
  ['--max-concurrency <n>', 'most requests in flight'],
  ['--ramp-up-strategy <s>', 'linear or exponential'],
  ['--ramp-up-start-rps <r>', 'rate at the start of the ramp'],
  ['--ramp-up-end-rps <r>', 'rate at its end'],
  ['--dataset-name <name>', 'random (recorded lengths: --trace)'],
  ['--random-input-len <n>', 'prompt tokens (1024)'],
  ['--random-output-len <n>', 'output tokens (128)'],
  [
    '--random-range-ratio <r>',
    'lengths uniform in [(1 − r)·len, (1 + r)·len]; or {"input": r, "output": r}',
  ],
  ['--random-prefix-len <n>', 'tokens of a prefix that all prompts share'],
];

/** `bench` has --lora-modules instead: a real server has adapters of real names. */
const ADAPTERS: readonly Row[] = [
  ['--num-loras <n>', 'LoRA adapters that requests are spread over (with --enable-lora)'],
  ['--lora-zipf <s>', "how unequally: exponent of Zipf's law, 0 uniform (0)"],
];

const REPORT: readonly Row[] = [
  ['--goodput <bounds...>', 'what a good request meets, in ms: ttft:200 tpot:50 e2el:5000'],
  ['--find-rate [fraction]', 'highest rate at which this fraction (0.99) meets --goodput'],
  ['--workers <n>', 'threads for comma lists and --find-rate (cores − 1)'],
  ['--metric-percentiles <list>', 'percentiles of the JSON result (90,99)'],
  ['--price-per-gpu-hour <$>', 'what a GPU costs, for the cost of a million output tokens'],
  ['--json', 'print the result as JSON'],
  ['--save-result <file>', 'write the JSON result'],
  ['--save-requests <file>', 'write a row per request: .jsonl or .csv'],
  ['--trace-out <file>', 'write a Chrome trace, for ui.perfetto.dev'],
  ['--trace-events <list>', 'what is in it: requests,steps,counters (all)'],
  ['--timeline <file>', 'write the state of each instance over time: .jsonl or .csv'],
  ['--timeline-interval <ms>', 'simulated time per row (1000)'],
  ['--dry-run', 'show what would run: options, memory, cost of typical steps'],
];

export function addRows(command: Command, heading: string, rows: readonly Row[]): void {
  for (const [flags, about] of rows) {
    command.addOption(new Option(flags, about).helpGroup(heading));
  }
}

const ENGINE_HEADING = 'Engine options, as in vllm serve:';

/** What runs: shared by everything that builds a cluster. */
export function addPoolFlags(command: Command): void {
  addRows(command, 'What runs:', RUNS);
  addRows(command, 'What runs:', [['--seed <n>', 'of every draw (0)']]);
  for (const { field, kind, about } of ENGINE_OPTIONS) {
    const name = flagName(field).slice(2);
    const heading = ENGINE_HEADING;
    if (kind === 'flag') {
      command.addOption(new Option(`--${name}`, `${about}, or --no-${name}`).helpGroup(heading));
      command.addOption(new Option(`--no-${name}`).hideHelp());
    } else {
      const compares = field === 'tensor_parallel_size' ? '; 1,2,4 compares' : '';
      const value = kind === 'text' ? '<name>' : kind === 'count' ? '<n>' : '<x>';
      command.addOption(new Option(`--${name} ${value}`, about + compares).helpGroup(heading));
    }
  }
  addRows(command, ENGINE_HEADING, SPECULATION);
}

/** An option of the engine that is a message of its own. */
const SPECULATION: readonly Row[] = [
  [
    '--speculative-config <json>',
    'speculative decoding: {"method":"ngram","num_speculative_tokens":3}; method: ngram, draft_model, eagle, ' +
      'eagle3, mtp; the key acceptance is our own: probability that a draft holds, list by position, or file',
  ],
];

export function addSimulateFlags(command: Command): void {
  addPoolFlags(command);
  addRows(command, 'Load, as in vllm bench serve:', LOAD);
  addRows(command, 'Adapters:', ADAPTERS);
  addRows(command, 'Conversations, as in vllm-bench:', CONVERSATIONS);
  addRows(command, 'Report:', REPORT);
}

/** The flags that take a comma list, and how they are stored. */
const COMPARED = ['model', 'hardware', 'tensor-parallel-size', 'request-rate'];

export interface FlagVariant {
  readonly flags: Flags;
  /** The flags that vary, without dashes, and this variant's values. */
  readonly varied: { readonly [flag: string]: string };
}

/** One per combination of comma lists, in the order given; a single one without lists. */
export function variantsOf(flags: Flags): FlagVariant[] {
  let variants: FlagVariant[] = [{ flags, varied: {} }];
  for (const name of COMPARED) {
    const key = camelCase(name.replaceAll('-', '_'));
    const text = flags[key];
    if (typeof text !== 'string' || !text.includes(',')) continue;
    variants = variants.flatMap((variant) =>
      listOf(`--${name}`, text).map((value) => ({
        flags: { ...variant.flags, [key]: value },
        varied: { ...variant.varied, [name]: value },
      })),
    );
  }
  return variants;
}

/** @throws {ConfigError} naming the flag */
export function requestFromFlags(flags: Flags, base?: ScenarioRequest): ScenarioRequest {
  const given = new Reader(flags);
  const options = poolOptions(given);
  const speculative = given.text('speculative_config');
  const change = defined({
    model: given.text('model'),
    hardware: given.text('hardware'),
    engine: given.text('engine'),
    numInstances: given.count('num_instances'),
    npuNum: given.count('npu_num'),
    npuMem: given.number('npu_mem'),
    calibration: given.text('calibration'),
    speculativeConfig: speculative === undefined ? undefined : speculativeFromJson(speculative),
    perfTable: given.text('perf_table'),
  });
  const pools = (base?.pools ?? [emptyPool(given)]).map(
    (pool): PoolRequest => ({ ...pool, ...change, options: { ...pool.options, ...options } }),
  );
  const seed = given.count('seed') ?? base?.seed;
  if (seed !== undefined && (seed < 0 || seed > 2 ** 32 - 1)) {
    throw new ConfigError('--seed', 'a whole number from 0 to 2^32 − 1', seed);
  }
  const router = given.text('router') ?? base?.router;
  return { seed, router, pools, load: { ...base?.load, ...loadRequest(given, base?.load) } };
}

function emptyPool(given: Reader): PoolRequest {
  for (const field of ['model', 'hardware']) {
    if (given.text(field) === undefined) {
      const hint = `See llmservingsim list-${field === 'model' ? 'models' : 'hardware'}.`;
      throw new ConfigError(`--${field}`, 'a name', undefined, hint);
    }
  }
  return { model: '', hardware: '', options: {} };
}

function poolOptions(given: Reader): PoolOptions {
  const options: Record<string, unknown> = {};
  for (const { field, kind } of ENGINE_OPTIONS) {
    const value =
      kind === 'flag'
        ? given.flag(field)
        : kind === 'text'
          ? given.text(field)
          : given[kind](field);
    if (value !== undefined) options[camelCase(field)] = value;
  }
  return options as PoolOptions;
}

function loadRequest(given: Reader, base: LoadRequest | undefined): LoadRequest {
  const dataset = given.text('dataset_name');
  if (dataset !== undefined && dataset !== 'random') {
    throw new ConfigError('--dataset-name', 'random (recorded lengths: --trace FILE)', dataset);
  }
  const path = given.text('trace') ?? base?.trace?.path;
  const trace = defined({
    format: given.text('trace_format'),
    speed: given.number('trace_speed'),
    blockSize: given.count('trace_block_size'),
  });
  if (path === undefined && Object.keys(trace).length > 0) {
    throw new ConfigError('--trace', 'a trace file beside the other --trace flags', undefined);
  }
  const ratios = given.ratios('random_range_ratio');
  return defined({
    numPrompts: given.count('num_prompts'),
    requestRate: given.rate('request_rate'),
    burstiness: given.rate('burstiness'),
    maxConcurrency: given.count('max_concurrency'),
    rampUpStrategy: given.text('ramp_up_strategy'),
    rampUpStartRps: given.number('ramp_up_start_rps'),
    rampUpEndRps: given.number('ramp_up_end_rps'),
    randomInputLen: given.count('random_input_len'),
    randomOutputLen: given.count('random_output_len'),
    randomRangeRatio: ratios?.input,
    randomOutputRangeRatio: ratios?.output,
    randomPrefixLen: given.count('random_prefix_len'),
    numLoras: given.count('num_loras'),
    loraZipf: given.number('lora_zipf'),
    ...(path !== undefined && { trace: { ...base?.trace, ...trace, path } }),
  });
}

/** Without the fields that are `undefined`, so that spreading it overrides nothing. */
function defined<T extends object>(object: T): Defined<T> {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Defined<T>;
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

const SLO_KEYS = { ttft: 'ttftMs', tpot: 'tpotMs', e2el: 'e2elMs' } as const;

/** `ttft:200 tpot:50`, as in vLLM's bench. */
export function sloFromFlags(flags: Flags): Slo | undefined {
  const pairs = flags.goodput;
  if (!Array.isArray(pairs)) return undefined;
  const slo: { -readonly [K in keyof Slo]: Slo[K] } = {};
  for (const pair of pairs as string[]) {
    const [name, text, ...rest] = pair.split(':');
    const key = SLO_KEYS[name as keyof typeof SLO_KEYS];
    const ms = text === undefined || text.trim() === '' ? Number.NaN : Number(text);
    if (!key || rest.length > 0 || !(ms >= 0)) {
      throw new ConfigError('--goodput', 'bounds in ms like ttft:200 tpot:50 e2el:5000', pair);
    }
    slo[key] = ms;
  }
  return slo;
}

export function priceFromFlags(flags: Flags): number | undefined {
  const text = flags.pricePerGpuHour;
  if (typeof text !== 'string') return undefined;
  const price = numberOf('--price-per-gpu-hour', text);
  if (price >= 0) return price;
  throw new ConfigError('--price-per-gpu-hour', 'a price of at least 0', text);
}

export function percentilesFromFlags(flags: Flags): number[] {
  const text = flags.metricPercentiles;
  if (typeof text !== 'string') return [90, 99];
  return listOf('--metric-percentiles', text).map((item) => {
    const value = numberOf('--metric-percentiles', item);
    if (value > 0 && value < 100) return value;
    throw new ConfigError('--metric-percentiles', 'numbers above 0 and below 100', item);
  });
}
