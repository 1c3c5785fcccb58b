/** A finished benchmark: what was asked for, what was measured, and what to beware of. */

import type { LatencySummary, Slo } from '../core/metrics/report.js';
import type { RampUp } from '../core/workload/arrivals/ramp.js';
import { type ClientHealth, healthWarnings } from './client-health.js';
import type { Measured, TtftMode } from './measurement.js';
import type { Probed } from './probe.js';

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
  /** Where they were asked for. */
  readonly probes?: Probed | undefined;
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

/** The send lag is lateness only where no slot had to be waited for. */
export const sendLagOf = ({ config, measured }: BenchResult): number | undefined =>
  config.maxConcurrency === undefined && config.requestRate !== Infinity
    ? measured.sendLag.quantileMs(0.99)
    : undefined;

/** What a reader should know before trusting the numbers. */
export function warningsOf(result: BenchResult): string[] {
  const { measured, config } = result;
  const warnings = healthWarnings(result.health, sendLagOf(result));
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

/** What a run differs in from the others. */
export function runName({ config }: BenchResult): string {
  const rate = config.requestRate;
  const concurrency = config.maxConcurrency;
  const parts = [
    ...(rate === undefined || rate === Infinity ? [] : [`${rate} req/s`]),
    ...(concurrency === undefined ? [] : [`${concurrency} at once`]),
  ];
  return parts.length > 0 ? parts.join(', ') : 'all at once';
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
