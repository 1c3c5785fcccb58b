/**
 * Rows of sources that have no mapping of their own: simulated as their columns say, with nothing known of
 * the run beside them. One's own measurements, for example.
 *
 * A `request_rate` is a Poisson process, `concurrency` a closed loop, or a batch that comes at once where the metric is `batch_latency`
 * or the note says "offline". The note may state a count ("200 requests", "num_prompts 200"): without rate and concurrency so many
 * come at once. Lengths marked "(mean)" vary.
 */

import { loadEngine } from '../../../src/config/engines.js';
import type { PoolOptions } from '../../../src/core/scenario.js';
import { fixed, type Lengths, type Load, type Mapping, type Measure } from '../case.js';
import { unlessRefused } from '../refusal.js';
import type { Row } from '../rows.js';
import {
  compare,
  dtypeOptions,
  layoutOptions,
  type MapRow,
  number,
  precisionLabel,
} from './source.js';

export const plain: MapRow = (row, model, gpu) => {
  const measured = measureOf(row);
  if (!measured) return { unmapped: `metric ${row.metric}` };
  const engine = engineOf(row);
  if (engine === undefined)
    return { unmapped: `no engine profile for "${row.engine} ${row.engine_version}"` };
  const load = loadOf(row);
  if (typeof load === 'string') return { unmapped: load };
  const options: PoolOptions = {
    ...layoutOptions(row),
    ...dtypeOptions(row.dtype, model),
    ...(offline(row) ? { inputLatencyMs: 0 } : {}),
  };
  return {
    case: {
      source: row.source,
      model,
      gpu,
      engine,
      options,
      ...(engine.startsWith('trtllm') ? { noEvict: true } : {}),
      load,
      precision: precisionLabel(options),
    },
    comparison: compare(row, measured.measure, measured.metric),
  } satisfies Mapping;
};

const RATES: Readonly<Record<string, readonly [measure: Measure, metric: string]>> = {
  batch_latency: ['makespan', 'e2e (batch)'],
  output_throughput: ['output_tps', 'output tok/s'],
  output_throughput_per_gpu: ['output_tps', 'output tok/s'],
  total_token_throughput: ['total_tps', 'total tok/s'],
  request_throughput: ['rps', 'req/s'],
};

/** Latencies are means unless the name ends in a percentile. */
function measureOf({ metric }: Row): { measure: Measure; metric: string } | undefined {
  const rate = RATES[metric];
  if (rate) return { measure: rate[0], metric: rate[1] };
  const latency = /^(ttft|tpot|itl|e2e)(_mean|_p50|_p90|_p95|_p99)?$/.exec(metric);
  if (!latency) return undefined;
  const [, name, statistic = '_mean'] = latency;
  const measure = statistic === '_mean' ? name : `${name}${statistic}`;
  return { measure: measure as Measure, metric: measure! };
}

const PROFILES: readonly (readonly [name: RegExp, profile: string])[] = [
  [/vllm/i, 'vllm'],
  [/tensorrt|trt-?llm/i, 'trtllm'],
  [/sglang/i, 'sglang'],
  [/lmdeploy|turbomind/i, 'lmdeploy'],
  [/\btgi\b|text[- ]generation[- ]inference/i, 'tgi'],
];

/** The newest generation where no version is stated. */
function engineOf({ engine, engine_version: stated }: Row): string | undefined {
  const profile = PROFILES.find(([name]) => name.test(engine))?.[1];
  if (profile === undefined) return undefined;
  const version = /\d+(\.\d+)*/.exec(stated)?.[0];
  const spec = version === undefined ? profile : `${profile}-${version}`;
  return unlessRefused(() => loadEngine(spec)) && spec;
}

/** Where no count is stated: the first wave matters little among so many for each client. */
const REQUESTS_PER_CLIENT = 10;
const REQUESTS_OF_A_RATE = 1000;

/** @returns the load, or what is missing. */
function loadOf(row: Row): Load | string {
  const input = lengthsOf(row.input_len);
  const output = lengthsOf(row.output_len);
  if (!input || !output) return 'lengths are not stated';
  const counted = /num_prompts[ =](\d+)|(\d+) (?:requests|prompts)/.exec(row.note);
  const count = number(counted?.[1] ?? counted?.[2] ?? '');
  const perSecond = number(row.request_rate);
  const clients = number(row.concurrency);
  const batch = (numRequests: number): Load => ({ kind: 'batch', numRequests, input, output });
  if (perSecond > 0) {
    const numRequests = count || REQUESTS_OF_A_RATE;
    return { kind: 'poisson', perSecond, numRequests, input, output };
  }
  if (clients > 0) {
    if (row.metric === 'batch_latency') return batch(clients);
    if (offline(row)) return batch(count || clients);
    const numRequests = count || REQUESTS_PER_CLIENT * clients;
    return { kind: 'closed', clients, numRequests, input, output };
  }
  return count > 0 ? batch(count) : 'neither clients nor a rate nor a count of requests';
}

/** Inside an engine: nothing comes over HTTP. */
const offline = (row: Row): boolean =>
  row.metric === 'batch_latency' || /fixed batch|offline/.test(row.note);

function lengthsOf(text: string): Lengths | undefined {
  const length = Math.round(number(text));
  if (!(length >= 1)) return undefined;
  return text.includes('mean') ? { low: 1, high: 2 * length - 1 } : fixed(length);
}
