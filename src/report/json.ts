/** What all results in JSON share: their text, and the keys of a distribution. */

import type { LatencySummary } from '../core/metrics/report.js';

export type Json = { readonly [key: string]: unknown };

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
