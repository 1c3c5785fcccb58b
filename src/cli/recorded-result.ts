/** A recording as a result: the same keys from what was recorded, so that it stands beside predictions. */

import { summaryOf } from '../bench/samples.js';
import type { RecordedRequest } from '../files/recording.js';
import type { SavedResult } from '../report/saved-result.js';

const PERCENTILES = [90, 99] as const;

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

/** Latencies of those that were answered whole; TPOT of those with more than one token. */
export function resultOfRecording(requests: readonly RecordedRequest[], name: string): SavedResult {
  const whole = requests.filter(
    ({ finishReason, ttftMs }) =>
      (finishReason === 'stop' || finishReason === 'length') && ttftMs !== undefined,
  );
  const gaps = whole.map(({ gapsMs }) => gapsMs);
  const samples = {
    ttft: whole.map(({ ttftMs }) => ttftMs!),
    tpot: gaps.filter(({ length }) => length > 0).map((list) => sumOf(list) / list.length),
    itl: gaps.flat(),
    e2el: whole.map(({ ttftMs, gapsMs }) => ttftMs! + sumOf(gapsMs)),
  };
  const ends = whole.map(({ arrivalMs }, i) => arrivalMs + samples.e2el[i]!);
  const lastMs = ends.reduce((latest, ms) => Math.max(latest, ms), 0);
  const duration = Math.max(0, lastMs - requests[0]!.arrivalMs) / 1e3;
  const perSecond = (count: number) => (duration > 0 ? count / duration : 0);
  const inputTokens = sumOf(whole.map(({ promptTokens }) => promptTokens));
  const outputTokens = sumOf(whole.map((request) => request.outputTokens));
  const numbers: Record<string, number> = {
    duration,
    completed: whole.length,
    failed: requests.length - whole.length,
    total_input_tokens: inputTokens,
    total_output_tokens: outputTokens,
    request_throughput: perSecond(whole.length),
    output_throughput: perSecond(outputTokens),
    total_token_throughput: perSecond(inputTokens + outputTokens),
  };
  for (const [metric, values] of Object.entries(samples)) {
    const summary = summaryOf(values);
    numbers[`mean_${metric}_ms`] = summary.meanMs;
    numbers[`median_${metric}_ms`] = summary.quantileMs(0.5);
    numbers[`std_${metric}_ms`] = summary.stdMs;
    for (const p of PERCENTILES) numbers[`p${p}_${metric}_ms`] = summary.quantileMs(p / 100);
  }
  const { model } = requests[0]!;
  const { ttft, e2el } = samples;
  return { name, numbers, model, backend: 'recording', samples: { ttft, e2el } };
}
