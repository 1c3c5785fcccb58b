/**
 * The result of a benchmark as JSON: the keys of `vllm bench serve`, and what is ours in one object,
 * `client`. Header values and keys are nowhere in it.
 */

import { type RampUp, rampRate } from '../core/workload/arrivals/ramp.js';
import { latencyKeys } from '../report/json.js';
import { healthJson } from './client-health.js';
import { inLoadOrder, latenciesOf } from './measurement.js';
import type { Probed } from './probe.js';
import { type BenchResult, metricOf, stamp, warningsOf } from './result.js';

export type Json = Record<string, unknown>;

export function benchJson(result: BenchResult, detailed = false): Json {
  const { config, measured, durationMs } = result;
  const seconds = durationMs / 1e3;
  const per = (count: number) => (seconds > 0 ? count / seconds : 0);
  const { completed, totalInputTokens, totalOutputTokens } = measured;
  return {
    date: stamp(config.date),
    endpoint_type: config.backend,
    backend: config.backend,
    label: config.label ?? null,
    model_id: config.model,
    tokenizer_id: config.tokenizer,
    num_prompts: config.numPrompts,
    ...config.metadata,
    request_rate: config.requestRate ?? null,
    burstiness: config.burstiness,
    max_concurrency: config.maxConcurrency ?? null,
    ...(config.rampUp && {
      ramp_up_strategy: config.rampUp.strategy,
      ramp_up_start_rps: config.rampUp.startRps,
      ramp_up_end_rps: config.rampUp.endRps,
    }),
    duration: seconds,
    completed,
    failed: measured.failed,
    total_input_tokens: totalInputTokens,
    total_output_tokens: totalOutputTokens,
    request_throughput: per(completed),
    request_goodput: config.slo ? per(measured.good) : null,
    input_throughput: per(totalInputTokens),
    output_throughput: per(totalOutputTokens),
    total_token_throughput: per(totalInputTokens + totalOutputTokens),
    max_output_tokens_per_s: measured.peakOutputTokensPerS,
    max_concurrent_requests: measured.peakConcurrency,
    ...(measured.audioSeconds > 0 && { rtfx: per(measured.audioSeconds) }),
    ...(detailed && details(result)),
    ...(config.rampUp && { rps_change_events: rampEvents(config.rampUp, result) }),
    ...Object.assign(
      {},
      ...config.metrics
        .filter((name) => measured.streamed || (name !== 'ttft' && name !== 'itl'))
        .map((name) => latencyKeys(name, metricOf(measured, name), config.percentiles)),
    ),
    ...(result.probes && probeJson(result.probes)),
    client: clientJson(result),
  };
}

const probeJson = ({ e2el, failed }: Probed): Json => ({
  probe_completed: e2el.count,
  probe_failed: failed,
  probe_median_e2el_ms: e2el.quantileMs(0.5),
  probe_p99_e2el_ms: e2el.quantileMs(0.99),
  probe_max_e2el_ms: e2el.maxMs,
});

function clientJson(result: BenchResult): Json {
  const { config, measured, health } = result;
  return {
    url: config.url,
    dataset: config.dataset,
    seed: config.seed,
    stopped: result.stopped,
    ttft_definition:
      config.ttftMode === 'vllm' ? 'first chunk with choices' : 'first chunk with text',
    failures: measured.failures,
    num_retries: measured.numRetries,
    num_connections: measured.numConnections,
    token_sources: measured.tokenSources,
    total_cached_tokens: measured.totalCachedTokens,
    ...(config.slo && {
      goodput: {
        ttft_ms: config.slo.ttftMs,
        tpot_ms: config.slo.tpotMs,
        e2el_ms: config.slo.e2elMs,
        good: measured.good,
        good_fraction: measured.good / Math.max(1, measured.completed + measured.failed),
      },
    }),
    ...(measured.streamed && {
      ...latencyKeys('content_ttft', measured.contentTtft, config.percentiles),
      ...latencyKeys('token_itl', measured.tokenItl, config.percentiles),
    }),
    ...latencyKeys('send_lag', measured.sendLag, config.percentiles),
    ...healthJson(health),
    quantiles: measured.itl.exact ? 'exact' : 'sketch, relative error below 0.4 %',
    request_changes: result.changes,
    warnings: warningsOf(result),
  };
}

/** Lists with an entry per request, in the order of the load; 0 and empty for failures. */
function details({ measured, config }: BenchResult): Json {
  const records = inLoadOrder(measured.records);
  const latencies = records.map((record) => latenciesOf(record, config.ttftMode));
  const ok = (i: number) => records[i]!.failure === undefined;
  return {
    input_lens: records.map(({ promptTokens }) => promptTokens),
    output_lens: records.map((r, i) => (ok(i) ? r.outputTokens : 0)),
    ttfts: latencies.map(({ ttftMs }, i) => (ok(i) ? ttftMs / 1e3 : 0)),
    itls: records.map((r) => r.chunkMs.slice(1).map((ms, i) => (ms - r.chunkMs[i]!) / 1e3)),
    latencies: latencies.map(({ e2elMs }, i) => (ok(i) ? e2elMs / 1e3 : 0)),
    start_times: records.map(({ sentMs }) => sentMs / 1e3),
    queue_times: records.map((r) => Math.max(0, r.dispatchedMs - r.scheduledMs) / 1e3),
    generated_texts: records.map(({ text }) => text),
    errors: records.map(({ failure }) => failure?.message ?? ''),
  };
}

/** When the ramp's rate passed each whole number, by the schedule. */
function rampEvents(ramp: RampUp, { config, measured }: BenchResult): Json[] {
  const events: Json[] = [];
  const numRequests = config.numPrompts;
  let last = Number.NaN;
  for (const [i, atMs] of measured.records
    .map((r) => r.scheduledMs)
    .sort((a, b) => a - b)
    .entries()) {
    const rps = Math.floor(rampRate(ramp, i, numRequests));
    if (rps === last) continue;
    last = rps;
    events.push({ rps, timestamp: new Date(config.date.getTime() + atMs).toISOString() });
  }
  return events;
}
