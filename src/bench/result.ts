/**
 * A finished benchmark and its JSON: the keys of `vllm bench serve`, and what is ours in one object,
 * `client`. Header values and keys are nowhere in it.
 */

import type { LatencySummary, Slo } from '../core/metrics/report.js';
import type { RampUp } from '../core/workload/arrivals/ramp.js';
import { rampRate } from '../core/workload/arrivals/ramp.js';
import { type ClientHealth, healthWarnings } from './client-health.js';
import { inLoadOrder, latenciesOf, type Measured, type TtftMode } from './measurement.js';

/** What was asked for, as the result says it. */
export interface BenchConfig {
  readonly date: Date;
  readonly backend: string;
  readonly label?: string | undefined;
  readonly model: string;
  readonly tokenizer: string | null;
  readonly url: string;
  readonly dataset: string;
  readonly numPrompts: number;
  /** Requests per second; `undefined`: as recorded. */
  readonly requestRate: number | undefined;
  readonly burstiness: number;
  readonly maxConcurrency?: number | undefined;
  readonly rampUp?: RampUp | undefined;
  readonly seed: number;
  readonly slo?: Slo | undefined;
  readonly ttftMode: TtftMode;
  readonly metadata: Readonly<Record<string, string>>;
  /** Which of ttft, tpot, itl, e2el are told. */
  readonly metrics: readonly MetricName[];
  readonly percentiles: readonly number[];
}

export const METRICS = [
  'ttft',
  'tpot',
  'itl',
  'e2el',
  'client_queue_time',
  'e2el_including_client_queue',
] as const;
export type MetricName = (typeof METRICS)[number];

export interface BenchResult {
  readonly config: BenchConfig;
  readonly durationMs: number;
  readonly measured: Measured;
  readonly health: ClientHealth;
  /** Ended by Ctrl-C: a part of what was asked for. */
  readonly stopped: boolean;
  /** What had to be changed in the requests for this server. */
  readonly changes: readonly string[];
}

export const metricOf = (measured: Measured, name: MetricName): LatencySummary =>
  ({
    ttft: measured.ttft,
    tpot: measured.tpot,
    itl: measured.itl,
    e2el: measured.e2el,
    client_queue_time: measured.queue,
    e2el_including_client_queue: measured.e2elWithQueue,
  })[name];

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
    client: clientJson(result),
  };
}

function latencyKeys(name: string, latency: LatencySummary, percentiles: readonly number[]): Json {
  return {
    [`mean_${name}_ms`]: latency.meanMs,
    [`median_${name}_ms`]: latency.quantileMs(0.5),
    [`std_${name}_ms`]: latency.stdMs,
    ...Object.fromEntries(
      percentiles.map((p) => [`p${p}_${name}_ms`, latency.quantileMs(p / 100)]),
    ),
  };
}

/** The send lag is lateness only where no slot had to be waited for. */
const lagOf = ({ config, measured }: BenchResult): number | undefined =>
  config.maxConcurrency === undefined && config.requestRate !== Infinity
    ? measured.sendLag.quantileMs(0.99)
    : undefined;

/** What a reader should know before trusting the numbers. */
export function warningsOf(result: BenchResult): string[] {
  const { measured, config } = result;
  const warnings = healthWarnings(result.health, lagOf(result));
  const { estimate, tokenizer } = measured.tokenSources;
  if (estimate > 0) {
    warnings.push(
      `output tokens of ${estimate} answers are estimated from their characters (± 10–20 %): give --tokenizer`,
    );
  }
  if (tokenizer > 0) {
    warnings.push(`output tokens of ${tokenizer} answers are counted by ${config.tokenizer}`);
  }
  if (measured.totalCachedTokens > 0) {
    const part = (100 * measured.totalCachedTokens) / Math.max(1, measured.totalInputTokens);
    warnings.push(
      `${part.toFixed(0)} % of the prompt tokens came from the server's prefix cache; --seed makes other prompts`,
    );
  }
  if (result.changes.length > 0) {
    warnings.push(`this server refused some fields: ${result.changes.join(', ')}`);
  }
  return warnings;
}

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
    loop_delay_p99_ms: health.loopDelayP99Ms,
    loop_delay_max_ms: health.loopDelayMaxMs,
    cpu_fraction: health.cpuFraction,
    num_threads: health.numThreads,
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

/** `20251028-134501`, local time. */
export function stamp(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  return (
    `${date.getFullYear()}${two(date.getMonth() + 1)}${two(date.getDate())}` +
    `-${two(date.getHours())}${two(date.getMinutes())}${two(date.getSeconds())}`
  );
}

/** The name vLLM gives the file of a result. */
export function resultFileName(config: BenchConfig): string {
  const { rampUp, maxConcurrency, backend, label } = config;
  const rate = config.requestRate ?? Infinity;
  const float = (value: number) =>
    value === Infinity ? 'inf' : Number.isInteger(value) ? value.toFixed(1) : String(value);
  const load = rampUp
    ? `ramp-up-${rampUp.strategy}-${rampUp.startRps}qps-${rampUp.endRps}qps`
    : `${float(rate)}qps`;
  const concurrency = maxConcurrency === undefined ? '' : `-concurrency${maxConcurrency}`;
  const model = config.model.split('/').at(-1);
  return `${label ?? backend}-${load}${concurrency}-${model}-${stamp(config.date)}.json`;
}
