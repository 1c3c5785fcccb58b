/**
 * A scenario as a user says it, before any name is looked up: what flags, a scenario file and the wire
 * have in common. What is absent was not said.
 */

import { ConfigError } from '../core/errors.js';
import { numGpusOf } from '../core/model/parallelism.js';
import type { PoolOptions, PoolSpec } from '../core/scenario.js';
import { GIB } from '../core/units.js';
import type { RampUpStrategy } from '../core/workload/arrivals/ramp.js';
import { DEFAULT_LENGTHS, type LoadOptions } from '../core/workload/load.js';
import type { TraceSource } from '../core/workload/trace-replay.js';
import { checkEngineOptions } from './engine-options.js';
import { loadHardware } from './hardware.js';
import { checkKvTiers } from './kv-tiers.js';
import { loadModel } from './models.js';
import {
  type ReadAcceptance,
  type SpeculativeRequest,
  speculationFromRequest,
} from './speculative-config.js';

export interface ScenarioRequest {
  readonly seed?: number | undefined;
  readonly router?: string | undefined;
  readonly pools: readonly PoolRequest[];
  readonly load: LoadRequest;
}

export interface PoolRequest {
  readonly model: string;
  readonly hardware: string;
  readonly engine?: string | undefined;
  readonly numInstances?: number | undefined;
  /** GPUs per instance. */
  readonly npuNum?: number | undefined;
  /** GiB per GPU, overriding the data sheet. */
  readonly npuMem?: number | undefined;
  /** A file of `calibrate`. */
  readonly calibration?: string | undefined;
  /** A file of measured operator times, as `setup-perf` writes it. */
  readonly perfTable?: string | undefined;
  readonly options: PoolOptions;
  readonly speculativeConfig?: SpeculativeRequest | undefined;
}

/** The load, under the names of `vllm bench serve`. */
export interface LoadRequest {
  readonly numPrompts?: number | undefined;
  readonly requestRate?: number | undefined;
  readonly burstiness?: number | undefined;
  readonly maxConcurrency?: number | undefined;
  readonly rampUpStrategy?: string | undefined;
  readonly rampUpStartRps?: number | undefined;
  readonly rampUpEndRps?: number | undefined;
  readonly randomInputLen?: number | undefined;
  readonly randomOutputLen?: number | undefined;
  readonly randomRangeRatio?: number | undefined;
  /** Of the outputs, where it is another. */
  readonly randomOutputRangeRatio?: number | undefined;
  readonly randomPrefixLen?: number | undefined;
  readonly numLoras?: number | undefined;
  readonly loraZipf?: number | undefined;
  readonly trace?: TraceRequest | undefined;
  /** Requests given one by one, sorted by arrival. */
  readonly requests?: (() => TraceSource) | undefined;
}

export interface TraceRequest {
  readonly path: string;
  readonly format?: string | undefined;
  readonly speed?: number | undefined;
  readonly blockSize?: number | undefined;
}

/** How a surface spells a field given in snake_case. */
export type FieldName = (field: string) => string;

export const DEFAULT_ENGINE = 'vllm';
export const DEFAULT_ROUTER = 'round_robin';

/**
 * Looks up the names of a pool and checks its options.
 *
 * @throws {ConfigError}
 */
export function poolFromRequest(
  request: PoolRequest,
  name: FieldName,
  readAcceptance: ReadAcceptance,
): PoolSpec {
  const { numInstances = 1, npuMem, options } = request;
  if (!(Number.isSafeInteger(numInstances) && numInstances >= 1)) {
    throw new ConfigError(name('num_instances'), 'a whole number of at least 1', numInstances);
  }
  if (npuMem !== undefined && !(npuMem > 0 && npuMem < Infinity)) {
    throw new ConfigError(name('npu_mem'), 'GiB per GPU, above 0', npuMem);
  }
  checkEngineOptions(options, name);
  checkKvTiers(options, name);
  const { speculativeConfig } = request;
  const speculation =
    speculativeConfig &&
    speculationFromRequest(speculativeConfig, name('speculative_config'), readAcceptance);
  const gpu = loadHardware(request.hardware);
  return {
    model: loadModel(request.model),
    hardware: npuMem === undefined ? gpu : { ...gpu, memoryBytes: npuMem * GIB },
    engine: request.engine ?? DEFAULT_ENGINE,
    numInstances,
    options: withGpus(request, name),
    ...(speculation && { speculation }),
  };
}

/** `npu_num` GPUs per instance: tensor parallelism unless the parallel sizes say otherwise. */
function withGpus({ npuNum, options }: PoolRequest, name: FieldName): PoolOptions {
  if (npuNum === undefined) return options;
  if (!(Number.isSafeInteger(npuNum) && npuNum >= 1)) {
    throw new ConfigError(name('npu_num'), 'a whole number of GPUs, at least 1', npuNum);
  }
  const { tensorParallelSize, pipelineParallelSize = 1, dataParallelSize = 1 } = options;
  const others = pipelineParallelSize * dataParallelSize;
  const tp = tensorParallelSize ?? npuNum / others;
  const numGpus = numGpusOf({
    tp,
    pp: pipelineParallelSize,
    dp: dataParallelSize,
    expertParallel: false,
  });
  if (numGpus !== npuNum || !Number.isInteger(tp)) {
    const sizes = `${tensorParallelSize ?? 'any'} × ${pipelineParallelSize} × ${dataParallelSize}`;
    throw new ConfigError(
      name('npu_num'),
      `the product of the tensor, pipeline and data parallel sizes (${sizes})`,
      npuNum,
    );
  }
  return { ...options, tensorParallelSize: tp };
}

/**
 * The load a request describes; its ranges are checked by `checkLoad`.
 *
 * @param openTrace opens the trace file it names, if it does; `src/files` can
 */
export function loadFromRequest(
  request: LoadRequest,
  openTrace?: (() => TraceSource) | undefined,
): LoadOptions {
  const { numPrompts, requestRate, burstiness, maxConcurrency } = request;
  return {
    source: sourceOf(request, openTrace),
    numPrompts,
    requestRate,
    burstiness,
    maxConcurrency,
    rampUp: rampOf(request),
    adapters: adaptersOf(request),
  };
}

function sourceOf(
  request: LoadRequest,
  openTrace: (() => TraceSource) | undefined,
): LoadOptions['source'] {
  const { trace, requests } = request;
  if (openTrace) return { kind: 'trace', speed: trace?.speed ?? 1, open: openTrace };
  if (requests) return { kind: 'trace', speed: 1, open: requests };
  return {
    kind: 'random',
    inputLen: request.randomInputLen ?? DEFAULT_LENGTHS.inputLen,
    outputLen: request.randomOutputLen ?? DEFAULT_LENGTHS.outputLen,
    rangeRatio: request.randomRangeRatio ?? DEFAULT_LENGTHS.rangeRatio,
    outputRangeRatio: request.randomOutputRangeRatio,
    prefixLen: request.randomPrefixLen ?? DEFAULT_LENGTHS.prefixLen,
  };
}

/** Without a number of adapters an exponent means nothing, which `checkLoad` refuses. */
function adaptersOf({ numLoras, loraZipf }: LoadRequest): LoadOptions['adapters'] {
  if (numLoras === undefined && loraZipf === undefined) return undefined;
  return { count: numLoras ?? Number.NaN, zipf: loraZipf ?? 0 };
}

/** A bound that is missing is NaN, which `checkLoad` refuses by its name. */
function rampOf(request: LoadRequest): LoadOptions['rampUp'] {
  const { rampUpStrategy, rampUpStartRps, rampUpEndRps } = request;
  if ([rampUpStrategy, rampUpStartRps, rampUpEndRps].every((given) => given === undefined)) {
    return undefined;
  }
  return {
    strategy: (rampUpStrategy ?? 'linear') as RampUpStrategy,
    startRps: rampUpStartRps ?? Number.NaN,
    endRps: rampUpEndRps ?? Number.NaN,
  };
}
