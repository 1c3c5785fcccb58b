/**
 * Result files of `simulate`, of `bench` and of `vllm bench serve`, read back under their common keys, so
 * that a prediction stands beside a measurement.
 */

import { ConfigError } from '../core/errors.js';

export interface SavedResult {
  /** How the file was named. */
  readonly name: string;
  /** All keys whose value is a number, `inf` included. */
  readonly numbers: Readonly<Record<string, number>>;
  readonly model: string | undefined;
  readonly backend: string | undefined;
  /** Latencies of each request in ms, where the file has them. */
  readonly samples: Readonly<Record<string, readonly number[]>>;
}

/** @throws {ConfigError} when it is no result */
export function savedResults(text: string, name: string): SavedResult[] {
  const values = parsed(text, name);
  return values.map((value, i) => resultOf(value, values.length > 1 ? `${name}[${i}]` : name));
}

/** One object, a list of them (`results` of a comparison), or JSON Lines. */
function parsed(text: string, name: string): Readonly<Record<string, unknown>>[] {
  try {
    const value: unknown = JSON.parse(text);
    const { results } = (value ?? {}) as { results?: unknown };
    return (Array.isArray(results) ? results : Array.isArray(value) ? value : [value]) as [];
  } catch {
    try {
      return text
        .split(/\r?\n/)
        .filter((line) => line.trim() !== '')
        .map((line) => JSON.parse(line));
    } catch {
      throw new ConfigError(name, 'a JSON result of simulate or bench', text.slice(0, 60));
    }
  }
}

/** Lists per request, in seconds, and what we call them. */
const SAMPLES = { ttft: 'ttfts', e2el: 'latencies' } as const;

function resultOf(value: Readonly<Record<string, unknown>>, name: string): SavedResult {
  if (typeof value?.request_throughput !== 'number' || typeof value.duration !== 'number') {
    throw new ConfigError(
      `${name}: request_throughput`,
      'a result of simulate, bench or vllm bench serve',
      value?.request_throughput,
    );
  }
  const numbers: Record<string, number> = {};
  for (const [key, entry] of Object.entries(value)) {
    if (typeof entry === 'number') numbers[key] = entry;
    else if (entry === 'inf') numbers[key] = Infinity;
  }
  const samples: Record<string, number[]> = {};
  for (const [metric, key] of Object.entries(SAMPLES)) {
    const list = value[key];
    if (Array.isArray(list)) samples[metric] = list.filter((s) => s > 0).map((s) => s * 1e3);
  }
  const text = (key: string) => (typeof value[key] === 'string' ? value[key] : undefined);
  return { name, numbers, model: text('model_id'), backend: text('backend'), samples };
}

/** What is compared, in the order of reading; the rest of a file describes its load. */
export const COMPARED = [
  ...['completed', 'failed', 'duration', 'total_input_tokens', 'total_output_tokens'],
  ...['request_throughput', 'request_goodput', 'output_throughput', 'total_token_throughput'],
] as const;

export const LATENCIES = ['ttft', 'tpot', 'itl', 'e2el'] as const;

/** Keys both kinds of statistics and all files have in the order of a report. */
export function comparedKeys(results: readonly SavedResult[]): string[] {
  const latencyKeys = LATENCIES.flatMap((metric) =>
    [...new Set(results.flatMap(({ numbers }) => Object.keys(numbers)))]
      .filter((key) => key.endsWith(`_${metric}_ms`))
      .sort((a, b) => order(a) - order(b)),
  );
  return [...COMPARED, ...latencyKeys].filter((key) =>
    results.some(({ numbers }) => numbers[key] !== undefined),
  );
}

function order(key: string): number {
  if (key.startsWith('mean')) return -3;
  if (key.startsWith('median')) return -2;
  return key.startsWith('std') ? -1 : Number(key.slice(1, key.indexOf('_')));
}

/** The statistics of one metric as points of its distribution: percent and ms. */
export function quantilePoints(
  result: SavedResult,
  metric: string,
): [percent: number, ms: number][] {
  const sorted = [...(result.samples[metric] ?? [])].sort((a, b) => a - b);
  if (sorted.length > 1) {
    return [1, 5, 10, 25, 50, 75, 90, 95, 99].map((p) => {
      const rank = (p / 100) * (sorted.length - 1);
      const below = sorted[Math.floor(rank)]!;
      return [p, below + (sorted[Math.ceil(rank)]! - below) * (rank % 1)];
    });
  }
  const points: [number, number][] = [];
  for (const [key, value] of Object.entries(result.numbers)) {
    if (!key.endsWith(`_${metric}_ms`)) continue;
    if (key.startsWith('median')) points.push([50, value]);
    else if (/^p\d/.test(key)) points.push([Number(key.slice(1, key.indexOf('_'))), value]);
  }
  return points.sort((a, b) => a[0] - b[0]);
}
