/** A resolved pool as JSON: for results, dry runs and `explain`. */

import type { ResolvedPool } from '../core/perf/resolve.js';
import type { SpeculationSpec } from '../core/scenario.js';
import { DEFAULT_ACCEPTANCE } from '../core/sched/acceptance.js';
import { expectedErrorJson } from './expected-error.js';
import type { Json } from './json.js';

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
