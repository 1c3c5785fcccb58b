/**
 * The result as JSON, under the keys of `vllm bench serve`, so that one reader takes a prediction and a
 * measurement. What only a simulator knows stands in one object, `simulation`. There is no date in it:
 * the same run gives the same bytes.
 */

import { IDLE_POWER_FRACTION, POWER_ASSUMPTION } from '../core/metrics/energy.js';
import type { KvTierReport } from '../core/metrics/report.js';
import { acceptanceRates, type SpeculationCounts } from '../core/metrics/speculation-stats.js';
import type { ConversationOptions } from '../core/workload/conversations.js';
import { DEFAULT_NUM_PROMPTS } from '../core/workload/load.js';
import { type Findings, findingsOf } from './findings.js';
import { type Json, latencyKeys } from './json.js';
import { poolJson } from './pool-json.js';
import { resourcesOf } from './resources.js';
import { offeredRate, perSecond, type Run } from './run.js';

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
