/**
 * The result as JSON, under the keys of `vllm bench serve`, so that one reader takes a prediction and a
 * measurement. What only a simulator knows stands in one object, `simulation`. There is no date in it:
 * the same run gives the same bytes.
 */

import { IDLE_POWER_FRACTION, POWER_ASSUMPTION } from '../core/metrics/energy.js';
import type { KvTierReport, LatencySummary } from '../core/metrics/report.js';
import { acceptanceRates, type SpeculationCounts } from '../core/metrics/speculation-stats.js';
import type { ResolvedPool } from '../core/perf/resolve.js';
import type { SpeculationSpec } from '../core/scenario.js';
import { DEFAULT_ACCEPTANCE } from '../core/sched/acceptance.js';
import type { ConversationOptions } from '../core/workload/conversations.js';
import { DEFAULT_NUM_PROMPTS } from '../core/workload/load.js';
import { expectedErrorJson } from './expected-error.js';
import { type Findings, findingsOf } from './findings.js';
import { resourcesOf } from './resources.js';
import { offeredRate, perSecond, type Run } from './run.js';

export type Json = { readonly [key: string]: unknown };

export function resultJson(run: Run, findings: Findings = findingsOf(run)): Json {
  const { report, load } = run;
  const { durationNs, completed, totalInputTokens, totalOutputTokens } = report;
  const ramp = load.rampUp;
  const recorded = load.source.kind === 'trace';
  return {
    backend: 'llmservingsim',
    model_id: run.pools[0]!.spec.model.name,
    num_prompts: load.numPrompts ?? (recorded ? run.offered.numRequests : DEFAULT_NUM_PROMPTS),
    request_rate: load.requestRate ?? (recorded || ramp ? offeredRate(run) : Infinity),
    burstiness: load.burstiness ?? 1,
    max_concurrency: load.maxConcurrency ?? null,
    ...(ramp && {
      ramp_up_strategy: ramp.strategy,
      ramp_up_start_rps: ramp.startRps,
      ramp_up_end_rps: ramp.endRps,
    }),
    duration: durationNs / 1e9,
    completed,
    failed: report.aborted + report.rejected,
    total_input_tokens: totalInputTokens,
    total_output_tokens: totalOutputTokens,
    request_throughput: perSecond(completed, durationNs),
    request_goodput: report.good === undefined ? null : perSecond(report.good, durationNs),
    output_throughput: perSecond(totalOutputTokens, durationNs),
    total_token_throughput: perSecond(totalInputTokens + totalOutputTokens, durationNs),
    ...latencyKeys('ttft', report.ttft, run.percentiles),
    ...latencyKeys('tpot', report.tpot, run.percentiles),
    ...latencyKeys('itl', report.itl, run.percentiles),
    ...latencyKeys('e2el', report.e2el, run.percentiles),
    ...(findings.speculation && specDecodeKeys(findings.speculation)),
    simulation: simulationJson(run, findings),
  };
}

/** JSON text of a result; infinities as `"inf"`, as vLLM writes them. */
export const jsonText = (value: unknown): string =>
  `${JSON.stringify(value, (_, v) => (v === Infinity ? 'inf' : v), 2)}\n`;

/** A distribution under the keys of `vllm bench serve`, in ms; `percentiles` in percent. */
export function latencyKeys(
  name: string,
  latency: LatencySummary,
  percentiles: readonly number[],
): Json {
  return {
    [`mean_${name}_ms`]: latency.meanMs,
    [`median_${name}_ms`]: latency.quantileMs(0.5),
    [`std_${name}_ms`]: latency.stdMs,
    ...Object.fromEntries(
      percentiles.map((p) => [`p${p}_${name}_ms`, latency.quantileMs(p / 100)]),
    ),
  };
}

/** Speculation under the keys of `vllm bench serve`, whose rate over all drafts is in percent. */
function specDecodeKeys(counts: SpeculationCounts): Json {
  const { rate, length, perPosition } = acceptanceRates(counts);
  return {
    spec_decode_acceptance_rate: 100 * rate,
    spec_decode_acceptance_length: length,
    spec_decode_num_drafts: counts.numDrafts,
    spec_decode_draft_tokens: counts.draftTokens,
    spec_decode_accepted_tokens: counts.acceptedTokens,
    spec_decode_per_position_acceptance_rates: perPosition,
  };
}

function simulationJson(run: Run, findings: Findings): Json {
  const { report, slo } = run;
  const { warnings, step, ...counts } = findings;
  return {
    seed: run.seed,
    router: run.router,
    ...(run.trace !== undefined && { trace: run.trace }),
    ...(run.load.conversations && { multi_turn: multiTurnJson(run.load.conversations) }),
    stopped: run.stopped,
    submitted: report.submitted,
    aborted: report.aborted,
    rejected: report.rejected,
    unfinished: report.unfinished,
    total_cached_tokens: report.totalCachedTokens,
    offered_request_rate: offeredRate(run),
    ...latencyKeys('queue', report.queue, run.percentiles),
    quantiles: report.ttft.exact ? 'exact' : 'sketch, relative error below 0.4 %',
    ...(slo && {
      goodput: {
        ...(slo.ttftMs !== undefined && { ttft_ms: slo.ttftMs }),
        ...(slo.tpotMs !== undefined && { tpot_ms: slo.tpotMs }),
        ...(slo.e2elMs !== undefined && { e2el_ms: slo.e2elMs }),
        good: report.good ?? 0,
        good_fraction: report.completed > 0 ? (report.good ?? 0) / report.completed : 0,
      },
    }),
    busy_fraction: counts.busyFraction,
    kv_usage_mean_fraction: counts.kvMeanFraction,
    kv_usage_peak_fraction: counts.kvPeakFraction,
    num_preemptions: counts.numPreemptions,
    prefix_hit_fraction: counts.prefixHitFraction ?? null,
    speculation: counts.speculation ? speculationJson(counts.speculation) : null,
    mean_step: step
      ? {
          duration_ms: step.meanMs,
          bound_by: Object.fromEntries(step.bounds.map(({ bound, fraction }) => [bound, fraction])),
          largest_operator: step.operator,
          largest_operator_fraction: step.operatorFraction,
          flop_utilization: step.flopUtilization,
          bandwidth_utilization: step.bandwidthUtilization,
        }
      : null,
    ...resourcesJson(run),
    pools: run.pools.map(poolJson),
    instances: report.instances.map((instance) => ({
      pool: instance.pool,
      instance: instance.instance,
      num_steps: instance.numSteps,
      busy_ms: instance.busyNs / 1e6,
      ...(instance.workNs !== undefined && { work_ms: instance.workNs / 1e6 }),
      prefill_tokens: instance.prefillTokens,
      decode_tokens: instance.decodeTokens,
      num_preemptions: instance.numPreemptions,
      num_blocks: instance.numBlocks,
      peak_blocks_used: instance.peakBlocksUsed,
      mean_blocks_used: instance.meanBlocksUsed,
      mean_running: instance.meanRunning,
      peak_running: instance.peakRunning,
      mean_waiting: instance.meanWaiting,
      peak_waiting: instance.peakWaiting,
      prefix_queries: instance.prefixQueries,
      prefix_hits: instance.prefixHits,
      ...(instance.speculation && {
        draft_tokens: instance.speculation.draftTokens,
        accepted_tokens: instance.speculation.acceptedTokens,
      }),
      ...(instance.lora && {
        lora_loads: instance.lora.loads,
        lora_fetches: instance.lora.fetches,
        lora_evictions: instance.lora.evictions,
        lora_cpu_evictions: instance.lora.cpuEvictions,
        lora_load_ms: instance.lora.loadNs / 1e6,
      }),
      ...(instance.kvTiers && { kv_tiers: instance.kvTiers.map(tierJson) }),
    })),
    warnings,
  };
}

function speculationJson(counts: SpeculationCounts): Json {
  const { rate, length, perPosition } = acceptanceRates(counts);
  return {
    num_drafts: counts.numDrafts,
    draft_tokens: counts.draftTokens,
    accepted_tokens: counts.acceptedTokens,
    accepted_fraction: rate,
    acceptance_length: length,
    accepted_fraction_per_position: perPosition,
  };
}

const tierJson = (tier: KvTierReport): Json => ({
  name: tier.name,
  capacity_blocks: tier.capacityBlocks,
  num_blocks: tier.numBlocks,
  query_tokens: tier.queryTokens,
  hit_tokens: tier.hitTokens,
  hit_fraction: tier.queryTokens > 0 ? tier.hitTokens / tier.queryTokens : 0,
  read_bytes: tier.readBytes,
  written_bytes: tier.writtenBytes,
  evicted_blocks: tier.evictedBlocks,
  read_ms: tier.readNs / 1e6,
  write_ms: tier.writeNs / 1e6,
});

const multiTurnJson = (talk: ConversationOptions): Json => ({
  min_turns: talk.minTurns,
  max_turns: talk.maxTurns,
  delay_ms: talk.delayMs,
  concurrency: talk.maxActive ?? null,
});

function resourcesJson(run: Run): Json {
  const used = resourcesOf(run);
  return {
    gpu_seconds: used.gpuSeconds,
    output_tokens_per_gpu_second: used.outputTokensPerGpuSecond,
    mfu: used.mfu,
    mbu: used.mbu,
    energy: {
      joules: used.energyJ,
      joules_per_output_token: used.joulesPerOutputToken,
      mean_watts_per_gpu: used.meanPowerW,
      idle_power_fraction: IDLE_POWER_FRACTION,
      source: POWER_ASSUMPTION,
    },
    cost: used.bill
      ? {
          price_per_gpu_hour: run.pricePerGpuHour,
          total: used.bill.total,
          per_million_output_tokens: used.bill.perMillionOutputTokens,
        }
      : null,
  };
}

/** A pool as it was resolved: the options it ran with, its KV memory, and where its numbers come from. */
export function poolJson(pool: ResolvedPool): Json {
  const { spec, scheduler, kv, deployment } = pool;
  const { tp, pp, dp, expertParallel } = deployment.layout;
  return {
    model: spec.model.name,
    hardware: spec.hardware.name,
    engine: `${pool.engine.name} ${pool.engine.since}+ (${pool.engine.label})`,
    level: pool.level,
    expected_errors: pool.expectedErrors.map(expectedErrorJson),
    num_instances: spec.numInstances,
    num_gpus_per_instance: pool.numGpus,
    options: {
      tensor_parallel_size: tp,
      pipeline_parallel_size: pp,
      data_parallel_size: dp,
      enable_expert_parallel: expertParallel,
      max_num_seqs: scheduler.maxNumSeqs,
      max_num_batched_tokens: scheduler.maxNumBatchedTokens,
      max_model_len: scheduler.maxModelLen,
      block_size: scheduler.blockSize,
      enable_chunked_prefill: scheduler.enableChunkedPrefill,
      enable_prefix_caching: scheduler.enablePrefixCaching,
      long_prefill_token_threshold: scheduler.longPrefillTokenThreshold,
      scheduling_policy: scheduler.policy,
      async_scheduling: scheduler.asyncScheduling,
      input_latency_ms: pool.inputLatencyNs / 1e6,
      tokenizing_us_per_token: pool.tokenizingNsPerToken / 1e3,
      speculative_config: spec.speculation ? speculativeConfigJson(spec.speculation) : null,
      ...(deployment.lora && {
        max_loras: deployment.lora.maxLoras,
        max_lora_rank: deployment.lora.rank,
        max_cpu_loras: scheduler.lora?.maxCpuLoras,
      }),
    },
    kv: {
      memory_bytes: kv.memoryBytes,
      utilization: kv.utilization,
      weight_bytes: kv.weightBytes,
      draft_weight_bytes: kv.draftWeightBytes,
      activation_bytes: kv.activationBytes,
      non_torch_bytes: kv.nonTorchBytes,
      ...(deployment.lora && { lora_bytes: kv.loraBytes }),
      kv_bytes: kv.kvBytes,
      bytes_per_block: kv.bytesPerBlock,
      num_blocks: scheduler.numGpuBlocks,
      num_tokens: scheduler.numGpuBlocks * scheduler.blockSize,
    },
    ...(scheduler.kvTiers && {
      kv_tiers: scheduler.kvTiers.map((tier) => ({
        name: tier.name,
        capacity_blocks: tier.capacityBlocks,
        bytes_per_block: tier.bytesPerBlock,
        read_ms_per_block: tier.readNsPerBlock / 1e6,
        write_ms_per_block: tier.writeNsPerBlock / 1e6,
        latency_ms: tier.latencyNs / 1e6,
      })),
    }),
    notes: pool.notes,
  };
}

/** The configuration in effect, in the words it is given in; a recording by what it amounts to. */
function speculativeConfigJson(spec: SpeculationSpec): Json {
  const { acceptance } = spec;
  return {
    method: spec.method,
    num_speculative_tokens: spec.numSpeculativeTokens,
    ...(spec.draft && { model: spec.draft.name }),
    ...(spec.draftTensorParallelSize !== undefined && {
      draft_tensor_parallel_size: spec.draftTensorParallelSize,
    }),
    acceptance:
      acceptance === undefined
        ? [DEFAULT_ACCEPTANCE[spec.method]]
        : acceptance.kind === 'rates'
          ? acceptance.rates
          : `recorded: ${acceptance.counts.length} requests`,
  };
}
