/** The result as `vllm bench serve` prints it: 50 columns, labels in 40 of them, two decimals. */

import type { LatencySummary } from '../core/metrics/report.js';
import { healthLine } from './client-health.js';
import { failureLine } from './failures.js';
import type { Probed } from './probe.js';
import { type BenchResult, type MetricName, metricOf, sendLagOf, warningsOf } from './result.js';

const WIDTH = 50;

const SECTIONS: Readonly<Record<MetricName, readonly [title: string, name: string]>> = {
  ttft: ['Time to First Token', 'TTFT'],
  tpot: ['Time per Output Token (excl. 1st token)', 'TPOT'],
  itl: ['Inter-token Latency', 'ITL'],
  e2el: ['End-to-end Latency', 'E2EL'],
  client_queue_time: ['Client-side Queueing', 'Client Queue Time'],
  e2el_including_client_queue: ['Queue-inclusive End-to-end Latency', 'E2EL incl. Client Queue'],
};

export function resultTable(result: BenchResult): string {
  const { config, measured, durationMs } = result;
  const seconds = durationMs / 1e3;
  const per = (count: number) => (seconds > 0 ? count / seconds : 0);
  const { maxConcurrency, requestRate } = config;
  const lines = [
    centred(' Serving Benchmark Result ', '='),
    row('Successful requests:', measured.completed),
    row('Failed requests:', measured.failed),
    ...(maxConcurrency === undefined ? [] : [row('Maximum request concurrency:', maxConcurrency)]),
    ...(requestRate === undefined || requestRate === Infinity
      ? []
      : [row('Request rate configured (RPS):', fixed(requestRate))]),
    row('Benchmark duration (s):', fixed(seconds)),
    row('Total input tokens:', measured.totalInputTokens),
    row('Total generated tokens:', measured.totalOutputTokens),
    row('Request throughput (req/s):', fixed(per(measured.completed))),
    row('Input token throughput (tok/s):', fixed(per(measured.totalInputTokens))),
    ...(config.slo ? [row('Request goodput (req/s):', fixed(per(measured.good)))] : []),
    row('Output token throughput (tok/s):', fixed(per(measured.totalOutputTokens))),
    row('Peak output token throughput (tok/s):', fixed(measured.peakOutputTokensPerS)),
    row('Peak concurrent requests:', fixed(measured.peakConcurrency)),
    ...(measured.audioSeconds > 0
      ? [row('RTFx (Inverse Real-Time Factor):', fixed(per(measured.audioSeconds)))]
      : []),
    row(
      'Total token throughput (tok/s):',
      fixed(per(measured.totalInputTokens + measured.totalOutputTokens)),
    ),
  ];
  if (result.probes) lines.push(...probeSection(result.probes));
  for (const name of config.metrics) {
    if (!measured.streamed && (name === 'ttft' || name === 'itl')) continue;
    lines.push(...section(name, metricOf(measured, name), config.percentiles));
  }
  lines.push('='.repeat(WIDTH));
  return `${lines.join('\n')}\n`;
}

/** What is said under the table: failures by class, what to beware of, and how the client was. */
export function resultNotes(result: BenchResult): string {
  const lines = [...notesOf(result), healthLine(result.health, sendLagOf(result)), ''];
  return lines.join('\n');
}

export function notesOf(result: BenchResult): string[] {
  const { measured, config, stopped } = result;
  return [
    ...(measured.streamed
      ? []
      : [`${config.backend} does not stream: there is no TTFT and no ITL.`]),
    ...measured.failures.map(failureLine),
    ...(stopped ? ['Stopped before its end: this is a part of the load.'] : []),
    ...warningsOf(result).map((warning) => `Warning: ${warning}.`),
  ];
}

function probeSection({ e2el, failed }: Probed): string[] {
  return [
    centred('Probe Requests', '-'),
    row('Probe requests completed:', e2el.count),
    row('Probe requests failed:', failed),
    row('Median probe E2EL (ms):', fixed(e2el.quantileMs(0.5))),
    row('P99 probe E2EL (ms):', fixed(e2el.quantileMs(0.99))),
    row('Max probe E2EL (ms):', fixed(e2el.maxMs)),
  ];
}

function section(
  metric: MetricName,
  latency: LatencySummary,
  percentiles: readonly number[],
): string[] {
  const [title, name] = SECTIONS[metric];
  return [
    centred(title, '-'),
    row(`Mean ${name} (ms):`, fixed(latency.meanMs)),
    row(`Median ${name} (ms):`, fixed(latency.quantileMs(0.5))),
    ...percentiles.map((p) => row(`P${p} ${name} (ms):`, fixed(latency.quantileMs(p / 100)))),
  ];
}

const fixed = (value: number): string => value.toFixed(2);

const row = (label: string, value: string | number): string =>
  `${label.padEnd(40)} ${String(value).padEnd(10)}`;

/** Python's `str.center`: of an odd rest, the larger part goes left when the width is odd. */
function centred(text: string, fill: string): string {
  const rest = Math.max(0, WIDTH - text.length);
  const left = Math.floor(rest / 2) + (rest & WIDTH & 1);
  return fill.repeat(left) + text + fill.repeat(rest - left);
}
