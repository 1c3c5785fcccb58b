/**
 * From the flags of `bench` to what runs: everything that can be refused is refused here, before a
 * request is sent.
 */

import type { Backend } from '../../bench/backends/backend.js';
import { backendNamed } from '../../bench/backends/index.js';
import type { BenchOptions } from '../../bench/bench.js';
import { baseOf, shownUrl, takeCredentials, urlOf } from '../../bench/endpoint.js';
import { redacted } from '../../bench/failures.js';
import { HttpClient } from '../../bench/http-client.js';
import type { TtftMode } from '../../bench/measurement.js';
import { type BenchConfig, METRICS, type MetricName } from '../../bench/result.js';
import type { SenderSpec } from '../../bench/threads/sender-spec.js';
import { type NumWorkers, SpreadSender } from '../../bench/threads/spread-sender.js';
import { estimator, tokenizerCounter } from '../../bench/token-counter.js';
import { ConfigError } from '../../core/errors.js';
import {
  type Flags,
  flagName,
  percentilesFromFlags,
  Reader,
  sloFromFlags,
} from '../simulate-flags.js';
import { listOf } from '../values.js';
import { SAMPLING } from './bench-flags.js';
import { loadOf, sourceOf, withLora } from './bench-load.js';
import { tokenizerOf } from './tokenizers.js';

/** A benchmark that can run, and let go of when it is over. */
export interface BenchSetup {
  readonly options: Omit<BenchOptions, 'signal' | 'onProgress'>;
  readonly readyTimeoutMs: number;
  readonly secrets: readonly string[];
  /** Sentences a user may want to see before the run. */
  readonly notes: readonly string[];
  close(): void;
}

const DEFAULT_TIMEOUT_S = 21_600;

type Environment = Readonly<Record<string, string | undefined>>;

/** @param onWarning told what was left out of a recording that was cut short */
export async function setUpBench(
  flags: Flags,
  env: Environment,
  onWarning: (text: string) => void,
): Promise<BenchSetup> {
  const given = new Reader(flags);
  const backend = backendNamed(given.text('backend') ?? given.text('endpoint_type') ?? 'openai');
  const base = baseOf({
    baseUrl: given.text('base_url'),
    host: given.text('host'),
    port: given.count('port') ?? backend.port,
  });
  const credentials = takeCredentials(base);
  const url = urlOf(base, given.text('endpoint') ?? backend.path);
  if (backend.ending && !backend.ending.test(url.pathname)) {
    throw new ConfigError(
      '--endpoint',
      `a path like ${backend.path} for ${backend.name}`,
      url.pathname,
    );
  }
  const { headers, secrets: keys } = headersOf(flags, given, env, credentials);
  // Some gateways take their key in the query.
  const secrets = [...keys, ...[...url.searchParams.values()].filter(isSecret)];
  const asked = given.text('model');
  const insecure = flags.insecure === true;
  const model = asked ?? (await firstModel(base, { headers, secrets, insecure }));
  const tokens = await tokenizerOf(given, model);
  const seed = given.countFrom(0, 'seed') ?? 0;
  const { tokenizer } = tokens;
  const source = await sourceOf(given, flags, { backend, seed, tokenizer, model, onWarning });
  const load = loadOf(given, source);
  const slo = sloFromFlags(flags);
  const ttftMode = modeOf(given.text('ttft_mode'));
  const { saveRequests, html, record, plotTimeline, plotDatasetStats } = flags;
  const keepRecords =
    flags.saveDetailed === true ||
    [saveRequests, html, record, plotTimeline, plotDatasetStats].some((file) => file !== undefined);
  const config: BenchConfig = {
    date: new Date(),
    backend: backend.name,
    label: given.text('label'),
    model,
    tokenizer: tokens.id,
    url: shownUrl(url),
    dataset: source.label,
    numPrompts: load.numPrompts ?? source.numRequests ?? 0,
    requestRate: load.rampUp ? Infinity : load.requestRate,
    burstiness: load.burstiness ?? 1,
    maxConcurrency: load.maxConcurrency,
    rampUp: load.rampUp,
    seed,
    slo,
    ttftMode,
    metadata: pairsOf('--metadata', flags.metadata),
    metrics: metricsOf(given.text('percentile_metrics')),
    percentiles: flags.metricPercentiles === undefined ? [99] : percentilesFromFlags(flags),
  };
  const ignoreEos = typeof flags.ignoreEos === 'boolean' ? flags.ignoreEos : source.exactLengths;
  const spec: SenderSpec = {
    backend: backend.name,
    url: url.href,
    insecure,
    headers,
    secrets,
    settings: {
      model: given.text('served_model_name') ?? model,
      sampling: samplingOf(given, backend),
      ignoreEos,
      logprobs: given.countFrom(0, 'logprobs'),
      chatTemplateKwargs: jsonFlag(given, 'chat_template_kwargs'),
    },
    extraBody: jsonFlag(given, 'extra_body'),
    tokenizer: tokens.counts ? tokens.origin : undefined,
    timeoutMs: timeoutMsOf(given, DEFAULT_TIMEOUT_S),
    maxRetries: given.countFrom(0, 'max_retries') ?? 0,
    keepText: flags.saveDetailed === true,
    requestIdPrefix: given.text('request_id_prefix') ?? `bench-${hex8(seed)}-`,
  };
  const counter = tokens.counts ? tokenizerCounter(tokens.tokenizer) : estimator;
  const sender = new SpreadSender(spec, workersOf(given.text('workers')), counter);
  const durationS = given.numberFrom(0, 'duration');
  return {
    options: {
      config,
      load,
      source: withLora(source, flags, given, seed),
      sender,
      measurement: { slo, ttftMode, keepRecords: keepRecords || load.rampUp !== undefined },
      numWarmups: given.countFrom(0, 'num_warmups') ?? 0,
      probeRate: probeRateOf(given, backend),
      durationMs: durationS === undefined ? undefined : durationS * 1e3,
    },
    readyTimeoutMs: (given.numberFrom(0, 'ready_check_timeout_sec') ?? 0) * 1e3,
    secrets,
    notes: tokens.note === undefined ? [] : [tokens.note],
    close: () => sender.close(),
  };
}

/** Threads that send; `auto`: one until it is busy. @throws {ConfigError} */
export function workersOf(text = 'auto'): NumWorkers {
  if (text === 'auto') return text;
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1) return count;
  throw new ConfigError('--workers', 'auto or a whole number of at least 1', text);
}

/** 0, as in vLLM, is none. @throws {ConfigError} */
function probeRateOf(given: Reader, backend: Backend): number | undefined {
  const rate = given.numberFrom(0, 'probe_request_rate') ?? 0;
  if (rate > 0 && backend.prompts === 'audio') {
    throw new ConfigError('--probe-request-rate', 'a backend that takes text', backend.name);
  }
  return rate === 0 ? undefined : rate;
}

/** What a timer can wait for: above it Node waits a millisecond. */
const LONGEST_TIMEOUT_S = 2 ** 31 / 1e3 - 1;

/** For a whole answer. @throws {ConfigError} */
export function timeoutMsOf(given: Reader, usualS: number): number {
  const seconds = given.number('request_timeout_sec') ?? usualS;
  if (seconds > 0 && seconds < LONGEST_TIMEOUT_S) return seconds * 1e3;
  const most = Math.floor(LONGEST_TIMEOUT_S);
  throw new ConfigError('--request-timeout-sec', `seconds above 0 and up to ${most}`, seconds);
}

const hex8 = (seed: number): string => (seed >>> 0).toString(16).padStart(8, '0');

/** Long enough that cutting it out of texts does no harm. */
const isSecret = (text: string): boolean => text.length > 3;

/** Headers of every request, and those of their values that must not be seen. */
export function headersOf(
  flags: Flags,
  given: Reader,
  env: Environment,
  credentials?: string | undefined,
) {
  const key = given.text('api_key') ?? env.OPENAI_API_KEY;
  const own = Object.entries(pairsOf('--header', flags.header)).map(
    ([name, value]) => [name.toLowerCase(), value] as const,
  );
  const headers: Record<string, string> = {
    ...(key && { authorization: `Bearer ${key}` }),
    ...(credentials && { authorization: credentials }),
    ...Object.fromEntries(own),
  };
  const values = [key, credentials, ...own.map(([, value]) => value)];
  // "Bearer <key>" is one, and so is the key alone.
  const all = values.flatMap((value) => (value ? [value, value.replace(/^\w+ +/, '')] : []));
  const secrets = [...new Set(all)].filter(isSecret);
  return { headers, secrets: secrets.sort((a, b) => b.length - a.length) };
}

function pairsOf(flag: string, pairs: Flags[string]): Record<string, string> {
  if (!Array.isArray(pairs)) return {};
  return Object.fromEntries(
    (pairs as string[]).map((pair) => {
      const at = pair.indexOf('=');
      if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)];
      // What stands there may be a key.
      throw new ConfigError(flag, 'KEY=VALUE', 'a word without =');
    }),
  );
}

/** The first model the server lists. @throws {ConfigError} when it cannot be asked */
async function firstModel(
  base: URL,
  { headers, secrets, insecure }: Pick<SenderSpec, 'headers' | 'secrets' | 'insecure'>,
): Promise<string> {
  const client = new HttpClient({ insecure });
  const url = urlOf(base, '/v1/models');
  const parts: Buffer[] = [];
  const { status, failure } = await client.exchange({
    url,
    method: 'GET',
    headers,
    timeoutMs: 30_000,
    onData: (bytes) => void parts.push(bytes),
  });
  client.close();
  try {
    if (status === 200 && !failure) {
      const { data } = JSON.parse(Buffer.concat(parts).toString('utf8')) as {
        data: readonly { id: string }[];
      };
      if (data[0]) return data[0].id;
    }
  } catch {
    // Told below, like every other answer without a model.
  }
  const why = redacted(failure?.message ?? `status ${status}`, secrets);
  throw new ConfigError(
    '--model',
    'a name, or a server that lists its models',
    undefined,
    `${shownUrl(url)}: ${why}`,
  );
}

function jsonFlag(given: Reader, field: string): Readonly<Record<string, unknown>> | undefined {
  const text = given.text(field);
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) return { ...value };
  } catch {
    // Told below.
  }
  throw new ConfigError(flagName(field), 'a JSON object', text);
}

function samplingOf(given: Reader, backend: Backend): Record<string, number> {
  const sampling: Record<string, number> = {};
  for (const field of SAMPLING) {
    const value = given.number(field);
    if (value === undefined) continue;
    if (!backend.openAiCompatible) {
      throw new ConfigError(flagName(field), 'a backend that takes it', backend.name);
    }
    sampling[field] = value;
  }
  return sampling;
}

function modeOf(mode = 'vllm'): TtftMode {
  if (mode === 'vllm' || mode === 'content') return mode;
  throw new ConfigError('--ttft-mode', 'vllm or content', mode);
}

function metricsOf(text = 'ttft,tpot,itl,e2el'): MetricName[] {
  return listOf('--percentile-metrics', text).map((name) => {
    const metric = METRICS.find((known) => known === name);
    if (metric) return metric;
    throw new ConfigError('--percentile-metrics', METRICS.join(', '), name);
  });
}
