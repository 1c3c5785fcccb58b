/**
 * From what a user asked for to what an instance runs: options completed by the engine's defaults,
 * the KV pool sized, the step cost built, and every silent choice noted.
 *
 * Files have been read by then (`PerfData`): this is a pure function, so a plan can try thousands of
 * pools without touching a disk.
 */

import type { LoraConfig, SchedulerConfig, StepCost } from '../engine.js';
import { ConfigError } from '../errors.js';
import { checkLayout, type Layout, numGpusOf } from '../model/parallelism.js';
import { Rng } from '../rng.js';
import type { PoolOptions, PoolSpec } from '../scenario.js';
import { type DurationNs, GIB, NS_PER_S, nsFromMs, onClock, type Seconds } from '../units.js';
import { linksDirectly } from './collectives.js';
import type { Drafter, Drafting } from './drafting.js';
import { efficiencyFor } from './efficiency.js';
import type { EngineProfile, PerfData } from './engine-profile.js';
import { type ExpectedError, expectedErrors } from './expected-error.js';
import { drawPopularity, type ExpertRouting, SkewedRouting } from './expert-routing.js';
import { type KvCapacity, kvCapacity } from './kv-capacity.js';
import { kvTiersOf } from './kv-tiers.js';
import type { Deployment } from './layers.js';
import { engineLimits, type Limits } from './limits.js';
import { fetchSeconds, type LoraShape, loadSeconds } from './lora.js';
import { resolvePrecision } from './precision.js';
import { analyticCost, resolveSpeculation } from './speculation.js';
import type { TableInUse } from './table/tabled-pool.js';

export interface ResolvedPool {
  readonly spec: PoolSpec;
  readonly scheduler: SchedulerConfig;
  readonly cost: StepCost;
  readonly kv: KvCapacity;
  readonly inputLatencyNs: DurationNs;
  /** GPUs of one instance, all data-parallel ranks included. */
  readonly numGpus: number;
  /** Schedulers an instance consists of: its data-parallel ranks. */
  readonly numRanks: number;
  /** Whether the ranks of an instance step together: they share experts. */
  readonly lockStep: boolean;
  readonly deployment: Deployment;
  /** Who proposes drafts, with speculation. */
  readonly drafting?: Drafting;
  readonly engine: EngineProfile;
  /** Choices made for the user, in sentences. */
  readonly notes: readonly string[];
  /** Where the times come from. */
  readonly level: 'analytic' | 'calibrated' | 'table';
  /** Measured times in use, at level `table`. */
  readonly table?: TableInUse;
  /** How far off each metric may be, measured on the nearest cases; empty when nothing near was measured. */
  readonly expectedErrors: readonly ExpectedError[];
}

/**
 * @param seed of what is drawn once for a pool: the popularity of experts
 * @throws {ConfigError} for an option out of range, a layout that cannot be, or a model that does not fit
 */
export function resolvePool(pool: PoolSpec, data: PerfData, seed = 0): ResolvedPool {
  const { model, hardware: gpu, options } = pool;
  const notes: string[] = [];
  const layout: Layout = {
    tp: options.tensorParallelSize ?? 1,
    pp: options.pipelineParallelSize ?? 1,
    dp: options.dataParallelSize ?? 1,
    expertParallel: options.enableExpertParallel ?? false,
  };
  checkLayout(model, layout);
  const asynchronous = asyncScheduling(pool, layout, data.engine);
  const engine = engineIn(data.engine, asynchronous && pool.speculation?.method !== 'ngram');
  const efficiency = efficiencyFor(data.efficiency, gpu, data.engine);
  const precision = resolvePrecision(model, gpu, efficiency, options);
  notes.push(...precision.notes);
  const routing = expertRouting(pool, seed);
  const lora = loraOf(options);
  const deployment: Deployment = {
    model,
    gpu,
    layout,
    precision,
    efficiency,
    engine,
    ...(routing && { routing }),
    ...(lora && { lora }),
  };
  const limits = engineLimits(options, data.engine, gpu);
  const speculation = resolveSpeculation(pool, deployment, asynchronous, notes);
  const { drafting } = speculation;
  const kv = kvCapacity(deployment, limits, drafting?.drafter);
  const numGpuBlocks = options.numGpuBlocksOverride ?? kv.numBlocks;
  if (numGpuBlocks < 2) throw doesNotFit(pool, deployment, limits, kv, drafting?.drafter);
  const maxModelLen = resolveMaxModelLen(pool, numGpuBlocks, limits.blockSize, notes);
  notes.push(...layoutNotes(deployment));
  const kvTiers = kvTiersOf(options, deployment, kv);

  const whole = !limits.enableChunkedPrefill && data.engine.defaults.budgetCoversModelLen;
  const budget = whole
    ? Math.max(limits.maxNumBatchedTokens, maxModelLen)
    : limits.maxNumBatchedTokens;

  const scheduler: SchedulerConfig = {
    blockSize: limits.blockSize,
    numGpuBlocks,
    maxNumSeqs: limits.maxNumSeqs,
    maxNumActiveSeqs: options.maxNumActiveSeqs ?? limits.maxNumSeqs,
    maxNumBatchedTokens: budget,
    maxNumScheduledTokens: options.maxNumScheduledTokens ?? budget,
    maxModelLen,
    enableChunkedPrefill: limits.enableChunkedPrefill,
    enablePrefixCaching: options.enablePrefixCaching ?? false,
    longPrefillTokenThreshold: options.longPrefillTokenThreshold ?? 0,
    longPrefillTokenThresholdAdaptive: options.longPrefillTokenThresholdAdaptive ?? false,
    schedulerReserveFullIsl:
      options.schedulerReserveFullIsl ?? data.engine.defaults.schedulerReserveFullIsl,
    watermark: options.watermark ?? 0,
    prefillScheduleInterval: options.prefillScheduleInterval ?? 1,
    policy: options.schedulingPolicy ?? 'fcfs',
    ...speculation.scheduler,
    pipelineParallelSize: layout.pp,
    ...(lora && { lora: loraConfig(deployment, lora, options) }),
    ...(kvTiers && { kvTiers }),
  };
  return {
    spec: pool,
    scheduler,
    cost: analyticCost(deployment, drafting),
    kv,
    inputLatencyNs:
      options.inputLatencyMs === undefined
        ? Math.round(inputLatency(deployment) * NS_PER_S)
        : nsFromMs(options.inputLatencyMs),
    numGpus: numGpusOf(layout),
    numRanks: layout.dp,
    lockStep: stepsTogether(deployment),
    deployment,
    ...(drafting && { drafting }),
    engine,
    notes,
    level: 'analytic',
    expectedErrors: expectedErrors(data.errors ?? [], deployment),
  };
}

/** Ranks vLLM has kernels for. */
const LORA_RANKS = [1, 8, 16, 32, 64, 128, 256, 320, 512];
const DEFAULT_LORA_RANK = 16;

function loraOf({ enableLora, maxLoras, maxLoraRank, maxCpuLoras }: PoolOptions) {
  const given = Object.entries({ maxLoras, maxLoraRank, maxCpuLoras }).find(([, n]) => n);
  if (!enableLora && given) {
    throw new ConfigError('--enable-lora', 'to be on beside other LoRA options', enableLora);
  }
  if (!enableLora) return undefined;
  const rank = maxLoraRank ?? DEFAULT_LORA_RANK;
  if (!LORA_RANKS.includes(rank)) {
    throw new ConfigError('--max-lora-rank', `one of ${LORA_RANKS.join(', ')}`, rank);
  }
  return { maxLoras: maxLoras ?? 1, rank };
}

function loraConfig(
  d: Deployment,
  { maxLoras, rank }: LoraShape,
  options: PoolOptions,
): LoraConfig {
  const { maxCpuLoras = maxLoras } = options;
  if (maxCpuLoras < maxLoras) {
    throw new ConfigError('--max-cpu-loras', `at least --max-loras, ${maxLoras}`, maxCpuLoras);
  }
  return {
    maxLoras,
    maxCpuLoras,
    loadTicks: onClock(loadSeconds(d, rank)),
    fetchTicks: onClock(fetchSeconds(d, rank)),
  };
}

/** Before the scheduler sees a request. */
const inputLatency = ({ model, engine, efficiency }: Deployment): Seconds =>
  engine.inputLatencySeconds + (model.mla ? efficiency.latentAttentionLatencySeconds : 0);

/** A request needs its whole context in the pool; block 0 is never used. */
function resolveMaxModelLen(
  pool: PoolSpec,
  numGpuBlocks: number,
  blockSize: number,
  notes: string[],
): number {
  const holds = (numGpuBlocks - 1) * blockSize;
  const asked = pool.options.maxModelLen;
  if (asked !== undefined && asked > holds) {
    throw new ConfigError(
      '--max-model-len',
      `at most ${holds} tokens, what the KV pool of ${pool.hardware.name} holds beside ${pool.model.name}`,
      asked,
      'raise --tensor-parallel-size or --gpu-memory-utilization, or use --kv-cache-dtype fp8',
    );
  }
  if (asked !== undefined) return asked;
  const own = pool.model.maxPositionEmbeddings;
  if (own <= holds) return own;
  notes.push(
    `max-model-len lowered from the model's ${own} to ${holds} tokens: what the KV pool holds`,
  );
  return holds;
}

function doesNotFit(
  pool: PoolSpec,
  d: Deployment,
  limits: Limits,
  kv: KvCapacity,
  drafter: Drafter | undefined,
): ConfigError {
  const gib = (bytes: number): string => (bytes / GIB).toFixed(1);
  const enough = [2, 4, 8, 16, 32, 64].find((tp) => {
    if (tp <= d.layout.tp || d.model.numHeads % tp !== 0) return false;
    // A drafter is small beside the model: its share stays as it is.
    return kvCapacity({ ...d, layout: { ...d.layout, tp } }, limits, drafter).numBlocks >= 2;
  });
  return new ConfigError(
    '--model',
    `weights of ${pool.model.name} (${gib(kv.weightBytes + kv.draftWeightBytes)} GiB per GPU${kv.draftWeightBytes > 0 ? ', what drafts included' : ''}) to fit into ${d.gpu.name} (${gib(kv.memoryBytes)} GiB × ${limits.utilization}, less ${gib(kv.activationBytes + kv.nonTorchBytes)} GiB for activations and libraries)`,
    `${gib(kv.kvBytes)} GiB left for KV`,
    enough === undefined
      ? 'no tensor-parallel size up to 64 would do'
      : `--tensor-parallel-size ${enough} would fit: ${enough * d.layout.pp * d.layout.dp} GPUs`,
  );
}

/** @throws {ConfigError} when there are no experts */
function expertRouting({ model, options }: PoolSpec, seed: number): ExpertRouting | undefined {
  const { expertLoadImbalance = 0 } = options;
  if (expertLoadImbalance === 0) return undefined;
  if (!model.moe)
    throw new ConfigError('--expert-load-imbalance', 'a model with experts', model.name);
  const { numExperts, numExpertsPerToken: perToken } = model.moe;
  const random = new Rng(seed).stream('experts');
  return new SkewedRouting(drawPopularity({ numExperts, perToken }, expertLoadImbalance, random));
}

/** Stages have batches in flight already: the two are alternatives. */
function asyncScheduling({ options }: PoolSpec, { pp }: Layout, engine: EngineProfile): boolean {
  if (pp > 1 && options.asyncScheduling) {
    throw new ConfigError(
      '--async-scheduling',
      'a single pipeline stage',
      `--pipeline-parallel-size ${pp}`,
      'with stages, batches are in flight as it is: leave --async-scheduling out',
    );
  }
  return pp === 1 && (options.asyncScheduling ?? engine.defaults.asyncScheduling);
}

/** The engine as it is when it schedules ahead, or does not: the CPU's time is hidden or added. */
const engineIn = (engine: EngineProfile, asynchronous: boolean): EngineProfile =>
  asynchronous === engine.defaults.asyncScheduling
    ? engine
    : { ...engine, ...engine.hostInOtherMode };

/** Ranks with experts in common wait for each other; those of a dense model are replicas. */
const stepsTogether = ({ model, layout }: Deployment): boolean =>
  model.moe !== undefined && layout.dp > 1 && layout.pp === 1;

/** GPUs of one node, in most servers. */
const LARGEST_NODE = 8;

/** What the user should know about the numbers of this layout. */
function layoutNotes({ model, gpu, layout, efficiency }: Deployment): string[] {
  const notes: string[] = [];
  const { tp, pp, dp } = layout;
  if (tp > 1 && !linksDirectly(gpu, tp))
    notes.push(`tensor parallelism over ${gpu.link.kind} is not calibrated: expect a larger error`);
  if (tp * dp > LARGEST_NODE) {
    notes.push(
      `${tp * dp} GPUs are taken to share one ${gpu.link.kind} domain: links between nodes are not modelled`,
    );
  }
  if (pp > 1 && dp > 1 && model.moe) {
    notes.push(`experts are priced as if all ${dp} data-parallel ranks were equally loaded`);
  }
  if (model.slidingWindow || model.linearAttention) {
    notes.push(
      `KV capacity counts windows and states as of sequences of ${efficiency.referenceContextTokens} tokens`,
    );
  }
  return notes;
}
