/**
 * From what a user asked for to what an instance runs: options completed by the engine's defaults,
 * the KV pool sized, the step cost built, and every silent choice noted.
 *
 * Files have been read by then (`PerfData`): this is a pure function, so a plan can try thousands of
 * pools without touching a disk.
 */

import type { InputTimes, SchedulerConfig, StepCost } from '../engine.js';
import { ConfigError } from '../errors.js';
import type { GpuSpec } from '../model/gpu.js';
import { checkLayout, type Layout, numGpusOf } from '../model/parallelism.js';
import { Rng } from '../rng.js';
import type { PoolSpec } from '../scenario.js';
import { GIB, NS_PER_S, nsFromMs, type Seconds } from '../units.js';
import { engineIn, schedulesAhead } from './async-scheduling.js';
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
import { loraConfig, loraOf } from './lora.js';
import { resolvePrecision } from './precision.js';
import { analyticCost, resolveSpeculation } from './speculation.js';
import type { TableInUse } from './table/tabled-pool.js';

export interface ResolvedPool extends Required<InputTimes> {
  readonly spec: PoolSpec;
  readonly scheduler: SchedulerConfig;
  readonly cost: StepCost;
  readonly kv: KvCapacity;
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
  const efficiency = efficiencyFor(data.efficiency, gpu, data.engine);
  const precision = resolvePrecision(model, gpu, efficiency, options);
  notes.push(...precision.notes);
  const asyncScheduling = schedulesAhead(pool, layout, data.engine, notes);
  const engine = engineIn(data.engine, asyncScheduling);
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
  const speculation = resolveSpeculation(pool, deployment, notes);
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
    schedulerRecvInterval: options.schedulerRecvInterval ?? 1,
    batchWaitTimeoutIters: options.batchWaitTimeoutIters ?? 0,
    batchWaitMaxTokensRatio: options.batchWaitMaxTokensRatio ?? 0,
    policy: options.schedulingPolicy ?? 'fcfs',
    asyncScheduling,
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
    tokenizingNsPerToken:
      options.inputLatencyMs === undefined ? data.engine.tokenizingSecondsPerToken * NS_PER_S : 0,
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

/** How long requests to this pool are on their way, as engines and simulations are told it. */
export const inputTimesOf = ({
  inputLatencyNs,
  tokenizingNsPerToken,
}: ResolvedPool): InputTimes => ({
  inputLatencyNs,
  tokenizingNsPerToken,
});

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

/** Limits to propose to who has no memory for the buffers of the ones in force. */
const SMALLER_LIMITS = [1024, 512, 256, 128, 64].map((maxNumSeqs) => ({
  maxNumSeqs,
  maxNumBatchedTokens: 2048,
}));

function doesNotFit(
  pool: PoolSpec,
  d: Deployment,
  limits: Limits,
  kv: KvCapacity,
  drafter: Drafter | undefined,
): ConfigError {
  const gib = (bytes: number): string => (bytes / GIB).toFixed(1);
  const smaller = SMALLER_LIMITS.find((less) => {
    if (less.maxNumSeqs >= limits.maxNumSeqs) return false;
    const { kvBytes, memoryBytes } = kvCapacity(d, { ...limits, ...less }, drafter);
    return kvBytes >= memoryBytes / 10;
  });
  const enough = [2, 4, 8, 16, 32, 64].find((tp) => {
    if (tp <= d.layout.tp || d.model.numHeads % tp !== 0) return false;
    // A drafter is small beside the model: its share stays as it is.
    return kvCapacity({ ...d, layout: { ...d.layout, tp } }, limits, drafter).numBlocks >= 2;
  });
  return new ConfigError(
    '--model',
    `weights of ${pool.model.name} (${gib(kv.weightBytes + kv.draftWeightBytes)} GiB per GPU${kv.draftWeightBytes > 0 ? ', what drafts included' : ''}) to fit into ${d.gpu.name} (${gib(kv.memoryBytes)} GiB × ${limits.utilization}, less ${gib(kv.activationBytes + kv.nonTorchBytes)} GiB for activations and libraries)`,
    `${gib(kv.kvBytes)} GiB left for KV`,
    [
      ...(smaller
        ? [
            `--max-num-seqs ${smaller.maxNumSeqs} --max-num-batched-tokens ${smaller.maxNumBatchedTokens} would fit: buffers grow with both`,
          ]
        : []),
      enough === undefined
        ? 'no tensor-parallel size up to 64 would do'
        : `--tensor-parallel-size ${enough} would fit: ${enough * d.layout.pp * d.layout.dp} GPUs`,
    ].join('; '),
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

/** Ranks with experts in common wait for each other; those of a dense model are replicas. */
const stepsTogether = ({ model, layout }: Deployment): boolean =>
  model.moe !== undefined && layout.dp > 1 && layout.pp === 1;

/** GPUs of one node, in most servers. */
const LARGEST_NODE = 8;

/** Links without measurements of steps. */
function overPcieNote({ link }: GpuSpec): string {
  if (link.kind === 'ethernet')
    return 'tensor parallelism over ethernet is not calibrated: expect a larger error';
  return link.peerToPeer === false
    ? "GPUs that cannot write to each other's memory exchange by the host's: assumed to take twice as long, expect a larger error"
    : 'tensor parallelism over PCIe is known by all-reduces alone: expect a larger error';
}

/** What the user should know about the numbers of this layout. */
function layoutNotes({ model, gpu, layout, efficiency, engine }: Deployment): string[] {
  const notes: string[] = [];
  const { tp, pp, dp } = layout;
  if (tp > 1 && !linksDirectly(gpu, tp)) notes.push(overPcieNote(gpu));
  if (tp * dp > LARGEST_NODE) {
    notes.push(
      `${tp * dp} GPUs are taken to share one ${gpu.link.kind} domain: links between nodes are not modelled`,
    );
  }
  if (pp > 1 && dp > 1 && model.moe) {
    notes.push(`experts are priced as if all ${dp} data-parallel ranks were equally loaded`);
  }
  const { freesBehindWindow } = engine.memory;
  if ((model.slidingWindow && freesBehindWindow) || model.linearAttention) {
    notes.push(
      `KV capacity counts windows and states as of sequences of ${efficiency.referenceContextTokens} tokens`,
    );
  }
  if (model.slidingWindow && !freesBehindWindow) {
    notes.push(`${engine.label} keeps the whole context of layers with a window`);
  }
  return notes;
}
