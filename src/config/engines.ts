/**
 * Serving engines by name and version (`vllm`, `vllm-0.9`, `trtllm-1.0`), and the efficiency constants.
 */

import { ConfigError, closest } from '../core/errors.js';
import type { Efficiency, EfficiencyData, EfficiencyOverride } from '../core/perf/efficiency.js';
import type { EngineProfile, PerfData } from '../core/perf/engine-profile.js';
import type { MeasuredError } from '../core/perf/expected-error.js';
import { dataPath, Fields, jsonNames, readJson } from './data-dir.js';

/** Names of the engines of the package, sorted. */
export const listEngines = (): string[] => jsonNames('perf_model', 'engines');

/** What `core/perf` needs for an engine: its profile, the constants, and how far off they were. */
export const loadPerfData = (engine: string): PerfData => ({
  engine: loadEngine(engine),
  efficiency: loadEfficiency(),
  errors: loadErrors(),
});

/** Errors by metric, kind of model, vendor and engine generation, as `npm run fidelity` wrote them. */
function loadErrors(): MeasuredError[] {
  const path = dataPath('perf_model', 'efficiency', 'errors.json');
  return Fields.of(readJson(path, 'measured errors'), path)
    .list('errors')
    .map((f) => ({
      metric: f.oneOf('metric', ['ttft', 'tpot', 'e2el', 'output_throughput'] as const),
      kind: f.oneOf('kind', ['dense', 'experts'] as const),
      vendor: f.text('vendor'),
      engine: f.text('engine'),
      rows: f.number('rows'),
      medianPercent: f.number('median_percent'),
      p90Percent: f.number('p90_percent'),
    }));
}

/**
 * @param spec a name, or a name and a version joined by a dash; without one, the newest generation.
 * @throws {ConfigError} for an unknown engine, or a version older than the oldest known.
 */
export function loadEngine(spec: string): EngineProfile {
  const [, name, version] = /^(.*?)(?:[-@]v?(\d+(?:\.\d+)*.*))?$/.exec(spec.toLowerCase())!;
  const known = listEngines();
  const engine = known.find((e) => e === name) ?? ALIASES[name!];
  if (engine === undefined) {
    const near = closest(name!, [...known, ...Object.keys(ALIASES)]);
    throw new ConfigError(
      '--engine',
      `one of ${known.join(', ')}, with or without a version`,
      spec,
      near && `did you mean ${near}?`,
    );
  }
  const path = dataPath('perf_model', 'engines', `${engine}.json`);
  const generations = Fields.of(readJson(path, 'an engine profile'), path)
    .only('name', 'generations')
    .list('generations');
  const found =
    version === undefined
      ? generations.at(-1)
      : generations.findLast((g) => compareVersions(g.text('since'), version) <= 0);
  if (!found)
    throw new ConfigError(
      '--engine',
      `a version of ${engine} from ${generations[0]!.text('since')} on`,
      spec,
    );
  const profile = readGeneration(engine, found);
  const at = generations.indexOf(found);
  const ahead = profile.defaults.asyncScheduling;
  const neighbour = generations[ahead ? at - 1 : at + 1];
  const other = neighbour && readGeneration(engine, neighbour);
  if (!other || other.defaults.asyncScheduling === ahead) return profile;
  const { hostSecondsPerStep, hostSecondsPerSequence } = other;
  return { ...profile, hostInOtherMode: { hostSecondsPerStep, hostSecondsPerSequence } };
}

const ALIASES: Readonly<Record<string, string>> = {
  'tensorrt-llm': 'trtllm',
  tensorrtllm: 'trtllm',
  turbomind: 'lmdeploy',
  'text-generation-inference': 'tgi',
};

/** Numeric parts in turn; a missing part is 0, and what follows the digits of a part is ignored. */
function compareVersions(a: string, b: string): number {
  const parts = (v: string): number[] => v.split('.').map((p) => Number.parseInt(p, 10) || 0);
  const [x, y] = [parts(a), parts(b)];
  for (let i = 0; i < Math.max(x.length, y.length); i++) {
    const d = (x[i] ?? 0) - (y[i] ?? 0);
    if (d !== 0) return d;
  }
  return 0;
}

function readGeneration(name: string, f: Fields): EngineProfile {
  const d = f.child('defaults');
  const m = f.child('memory');
  return {
    name,
    label: f.text('label'),
    since: f.text('since'),
    hostSecondsPerStep: f.number('host_s_per_step'),
    hostSecondsPerSequence: f.number('host_s_per_sequence'),
    hostSecondsPerWorker: f.number('host_s_per_worker'),
    hostSecondsPerContextToken: f.number('host_s_per_context_token'),
    layerFactor: f.number('layer_factor'),
    softnessFactor: f.number('softness_factor'),
    dispatchSecondsPerLayer: f.number('dispatch_s_per_layer'),
    graphTokens: f.number('graph_tokens'),
    inputLatencySeconds: f.number('input_latency_s'),
    tokenizingSecondsPerToken: f.number('tokenizing_s_per_token'),
    smallExpertMemory: f.number('small_expert_memory'),
    smallExpertSeconds: f.number('small_expert_s_per_layer'),
    samplingBytesPerLogit: f.number('sampling_bytes_per_logit'),
    defaults: {
      blockSize: d.number('block_size', 1),
      maxNumSeqs: d.number('max_num_seqs', 1),
      maxNumSeqsLarge: d.number('max_num_seqs_large', 1),
      maxNumBatchedTokens: d.number('max_num_batched_tokens', 1),
      maxNumBatchedTokensLarge: d.number('max_num_batched_tokens_large', 1),
      enableChunkedPrefill: d.flag('enable_chunked_prefill'),
      budgetCoversModelLen: d.flag('budget_covers_model_len'),
      enablePrefixCaching: d.flag('enable_prefix_caching'),
      asyncScheduling: d.flag('async_scheduling'),
      gpuMemoryUtilization: d.number('gpu_memory_utilization'),
      schedulerReserveFullIsl: d.flag('scheduler_reserve_full_isl'),
    },
    memory: {
      of: m.oneOf('of', ['total', 'free'] as const),
      usable: m.number('usable'),
      nonTorchBytes: m.number('non_torch_bytes'),
      nonTorchBytesParallel: m.number('non_torch_bytes_parallel'),
      reserveBytes: m.number('reserve_bytes'),
      activationFactor: m.number('activation_factor'),
      bytesPerLogit: m.number('bytes_per_logit'),
      freesBehindWindow: m.flag('frees_behind_window'),
    },
    source: f.text('source'),
  };
}

/** The constants that hold for all GPUs, and the factors on them. */
export function loadEfficiency(
  path = dataPath('perf_model', 'efficiency', 'global.json'),
): EfficiencyData {
  const f = Fields.of(readJson(path, 'efficiency constants'), path).only('constants', 'overrides');
  const constants: Record<string, number> = {};
  const sources: Record<string, string> = {};
  const list = f.child('constants');
  for (const key of list.keys()) {
    const entry = list.child(key).only('value', 'source');
    constants[camel(key)] = entry.number('value');
    sources[camel(key)] = entry.text('source');
  }
  return {
    constants: constants as unknown as Efficiency,
    sources,
    overrides: f.list('overrides').map(readOverride),
  };
}

function readOverride(f: Fields): EfficiencyOverride {
  f.only('gpus', 'architectures', 'vendors', 'engines', 'factors', 'values', 'source');
  const where = (name: string) => (f.has(name) ? { [name]: f.texts(name) } : {});
  return {
    ...where('gpus'),
    ...where('architectures'),
    ...where('vendors'),
    ...where('engines'),
    factors: numbers(f, 'factors'),
    values: numbers(f, 'values'),
    source: f.text('source'),
  };
}

function numbers(f: Fields, name: string): Record<string, number> {
  if (!f.has(name)) return {};
  const list = f.child(name);
  return Object.fromEntries(list.keys().map((key) => [camel(key), list.number(key)]));
}

const camel = (key: string): string =>
  key.replace(/_([a-z0-9])/g, (_, c: string) => c.toUpperCase());
