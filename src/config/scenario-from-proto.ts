/**
 * The wire's scenario as a request to the simulator: defaults of proto fields mean "not said".
 *
 * Only types are taken from `gen`, so nothing of protobuf is loaded by those who never meet it.
 */

import type {
  EngineOptions,
  KvTier,
  Pool,
  Scenario,
  SpeculativeConfig,
} from '../../gen/llmservingsim/v1/scenario_pb.js';
import type { RequestList, Workload } from '../../gen/llmservingsim/v1/workload_pb.js';
import type { RequestSpec } from '../core/engine.js';
import { ConfigError } from '../core/errors.js';
import type { KvTierOptions, PoolOptions } from '../core/scenario.js';
import { nsFromMs } from '../core/units.js';
import type { TraceSource } from '../core/workload/trace-replay.js';
import { camelCase, ENGINE_OPTIONS } from './engine-options.js';
import type { FieldName, LoadRequest, PoolRequest, ScenarioRequest } from './scenario-request.js';
import type { SpeculativeRequest } from './speculative-config.js';

/**
 * @param at what the fields belong to, in errors: a file, or `scenario`
 * @throws {ConfigError}
 */
export function requestFromProto(scenario: Scenario, at: string): ScenarioRequest {
  if (scenario.pools.length === 0) {
    throw new ConfigError(`${at}: pools`, 'at least one pool', undefined);
  }
  return {
    seed: said(scenario.seed),
    router: said(scenario.router),
    pools: scenario.pools.map((pool, i) => poolRequest(pool, `${at}: pools[${i}]`)),
    load: scenario.workload ? loadFromProto(scenario.workload, `${at}: workload`) : {},
  };
}

function poolRequest(pool: Pool, at: string): PoolRequest {
  if (!pool.model) throw new ConfigError(`${at}.model`, 'the name of a model', undefined);
  if (!pool.hardware) throw new ConfigError(`${at}.hardware`, 'the name of a GPU', undefined);
  if (pool.role && pool.role !== 'mixed') throw new ConfigError(`${at}.role`, 'mixed', pool.role);
  return {
    model: pool.model,
    hardware: pool.hardware,
    engine: said(pool.engine),
    numInstances: said(pool.numInstances),
    npuNum: said(pool.npuNum),
    npuMem: said(pool.npuMem),
    perfTable: said(pool.perfTable),
    options: {
      ...(pool.options && poolOptions(pool.options)),
      ...(pool.kvTiers.length > 0 && { kvTiers: pool.kvTiers.map(kvTier) }),
    },
    speculativeConfig:
      pool.options?.speculativeConfig && speculative(pool.options.speculativeConfig),
  };
}

const kvTier = (tier: KvTier): KvTierOptions => ({
  name: tier.name,
  capacityGib: tier.capacityGib,
  ...(tier.bandwidthGbPerS && { bandwidthGbPerS: tier.bandwidthGbPerS }),
  ...(tier.writeBandwidthGbPerS && { writeBandwidthGbPerS: tier.writeBandwidthGbPerS }),
  ...(tier.latencyMs !== undefined && { latencyMs: tier.latencyMs }),
});

/** Engine options have presence on the wire: what is there was said. */
function poolOptions(options: EngineOptions): PoolOptions {
  const given: Record<string, unknown> = {};
  for (const { field } of ENGINE_OPTIONS) {
    const key = camelCase(field);
    const value = (options as unknown as Record<string, unknown>)[key];
    if (value !== undefined) given[key] = value;
  }
  return given as PoolOptions;
}

function speculative(config: SpeculativeConfig): SpeculativeRequest {
  const { $typeName: _, acceptance, ...given } = config;
  return { ...given, ...(acceptance.length > 0 && { acceptance }) };
}

export function loadFromProto(workload: Workload, at: string): LoadRequest {
  const { source } = workload;
  const common: LoadRequest = {
    numPrompts: said(workload.numPrompts),
    requestRate: said(workload.requestRate),
    burstiness: said(workload.burstiness),
    maxConcurrency: said(workload.maxConcurrency),
    rampUpStrategy: said(workload.rampUpStrategy),
    // A ramp may start at 0, so its ends count as said when it is asked for.
    rampUpStartRps: workload.rampUpStrategy ? workload.rampUpStartRps : undefined,
    rampUpEndRps: workload.rampUpStrategy ? workload.rampUpEndRps : undefined,
    numLoras: said(workload.numLoras),
    loraZipf: said(workload.loraZipf),
  };
  switch (source.case) {
    case 'random':
      return {
        ...common,
        randomInputLen: said(source.value.randomInputLen),
        randomOutputLen: said(source.value.randomOutputLen),
        randomRangeRatio: said(source.value.randomRangeRatio),
        randomPrefixLen: said(source.value.randomPrefixLen),
      };
    case 'trace': {
      const { path, format, speed } = source.value;
      if (!path) throw new ConfigError(`${at}.trace.path`, 'the path of a trace', undefined);
      return { ...common, trace: { path, format: said(format), speed: said(speed) } };
    }
    case 'requests': {
      const list = source.value;
      checkRequests(list, `${at}.requests`);
      return { ...common, requests: () => requestSource(list) };
    }
    default:
      return common;
  }
}

function checkRequests(list: RequestList, at: string): void {
  let last = 0;
  list.requests.forEach((request, i) => {
    const field = `${at}.requests[${i}]`;
    const { arrivalMs, promptTokens, outputTokens } = request;
    if (!(arrivalMs >= last && arrivalMs < Infinity)) {
      throw new ConfigError(
        `${field}.arrival_ms`,
        'a time not before the request above',
        arrivalMs,
      );
    }
    if (promptTokens < 1)
      throw new ConfigError(`${field}.prompt_tokens`, 'at least 1', promptTokens);
    if (outputTokens < 1)
      throw new ConfigError(`${field}.output_tokens`, 'at least 1', outputTokens);
    last = arrivalMs;
  });
}

function requestSource({ requests }: RequestList): TraceSource {
  let i = 0;
  return {
    next() {
      const request = requests[i++];
      if (!request) return undefined;
      const { requestId, promptTokens, outputTokens, priority, lora } = request;
      const spec: RequestSpec = {
        promptTokens,
        maxTokens: outputTokens,
        priority,
        ...(requestId && { id: requestId }),
        ...(lora && { lora }),
      };
      return { at: nsFromMs(request.arrivalMs), spec };
    },
  };
}

/** Proto's default of a field without presence means that it was not said. */
const said = <T extends number | string>(value: T): T | undefined => value || undefined;

const NESTED: Readonly<Record<string, string>> = {
  random_input_len: 'random.random_input_len',
  random_output_len: 'random.random_output_len',
  random_range_ratio: 'random.random_range_ratio',
  random_prefix_len: 'random.random_prefix_len',
  trace_speed: 'trace.speed',
};

/** How a load's field is spelled below `at`. */
export const loadField =
  (at: string): FieldName =>
  (field) =>
    `${at}: workload.${NESTED[field] ?? field}`;

const POOL_FIELDS = [
  'model',
  'hardware',
  'engine',
  'num_instances',
  'npu_num',
  'npu_mem',
  'perf_table',
];

const isOfPool = (field: string): boolean =>
  POOL_FIELDS.includes(field) || field.startsWith('kv_tiers');

/** How a pool's field is spelled below `at`. */
export const poolField =
  (at: string, index: number): FieldName =>
  (field) =>
    `${at}: pools[${index}].${isOfPool(field) ? field : `options.${field}`}`;
