/**
 * From the flags of `bench` to what runs: everything that can be refused is refused here, before a
 * request is sent.
 */

import type { Backend } from '../../bench/backends/backend.js';
import type { BenchOptions } from '../../bench/bench.js';
import { shownUrl } from '../../bench/endpoint.js';
import type { TtftMode } from '../../bench/measurement.js';
import { type BenchConfig, METRICS, type MetricName } from '../../bench/result.js';
import type { BenchSource } from '../../bench/source.js';
import type { SenderSpec } from '../../bench/threads/sender-spec.js';
import { type NumWorkers, SpreadSender } from '../../bench/threads/spread-sender.js';
import { estimator, tokenizerCounter } from '../../bench/token-counter.js';
import { ConfigError } from '../../core/errors.js';
import type { LoadOptions } from '../../core/workload/load.js';
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
import { type Environment, firstModel, pairsOf, type Target, targetOf } from './bench-target.js';
import { tokenizerOf } from './tokenizers.js';

/** A benchmark that can run, and let go of when it is over. */
export interface BenchSetup {
  readonly options: Omit<BenchOptions, 'signal' | 'onProgress'>;
  readonly readyTimeoutMs: number;
  /** Sentences a user may want to see before the run. */
  readonly notes: readonly string[];
  close(): void;
}

const DEFAULT_TIMEOUT_S = 21_600;

/** @param onWarning told what was left out of a recording that was cut short */
export async function setUpBench(
  flags: Flags,
  env: Environment,
  onWarning: (text: string) => void,
): Promise<BenchSetup> {
  const given = new Reader(flags);
  const target = targetOf(given, flags, env);
  const { backend } = target;
  const model = given.text('model') ?? (await firstModel(target));
  const tokens = await tokenizerOf(given, model);
  const { tokenizer } = tokens;
  const seed = given.countFrom(0, 'seed') ?? 0;
  const source = await sourceOf(given, flags, { backend, seed, tokenizer, model, onWarning });
  const load = loadOf(given, source);
  const config = configOf(given, flags, {
    target,
    model,
    tokenizer: tokens.id,
    seed,
    source,
    load,
  });
  const ignoreEos = typeof flags.ignoreEos === 'boolean' ? flags.ignoreEos : source.exactLengths;
  const spec = {
    ...senderOf(given, target, { model, seed, ignoreEos }),
    tokenizer: tokens.counts ? tokens.origin : undefined,
    keepText: flags.saveDetailed === true,
  };
  const counter = tokens.counts ? tokenizerCounter(tokenizer) : estimator;
  const sender = new SpreadSender(spec, workersOf(given.text('workers')), counter);
  const durationS = given.numberFrom(0, 'duration');
  const keepRecords = looksAtRecords(flags) || load.rampUp !== undefined;
  return {
    options: {
      config,
      load,
      source: withLora(source, flags, given, seed),
      sender,
      measurement: { slo: config.slo, ttftMode: config.ttftMode, keepRecords },
      numWarmups: given.countFrom(0, 'num_warmups') ?? 0,
      probeRate: probeRateOf(given, backend),
      durationMs: durationS === undefined ? undefined : durationS * 1e3,
    },
    readyTimeoutMs: (given.numberFrom(0, 'ready_check_timeout_sec') ?? 0) * 1e3,
    notes: tokens.note === undefined ? [] : [tokens.note],
    close: () => sender.close(),
  };
}

/** What only those who look at single requests need. */
const looksAtRecords = (flags: Flags): boolean =>
  Boolean(flags.saveDetailed || flags.plotTimeline || flags.plotDatasetStats) ||
  [flags.saveRequests, flags.html, flags.record].some((file) => file !== undefined);

interface Parts {
  readonly target: Target;
  readonly model: string;
  readonly tokenizer: string | null;
  readonly seed: number;
  readonly source: BenchSource;
  readonly load: LoadOptions;
}

function configOf(given: Reader, flags: Flags, parts: Parts): BenchConfig {
  const { target, model, tokenizer, seed, source, load } = parts;
  return {
    date: new Date(),
    backend: target.backend.name,
    label: given.text('label'),
    model,
    tokenizer,
    url: shownUrl(target.url),
    dataset: source.label,
    numPrompts: load.numPrompts ?? source.numRequests ?? 0,
    requestRate: load.rampUp ? Infinity : load.requestRate,
    burstiness: load.burstiness ?? 1,
    maxConcurrency: load.maxConcurrency,
    rampUp: load.rampUp,
    seed,
    slo: sloFromFlags(flags),
    ttftMode: modeOf(given.text('ttft_mode')),
    metadata: pairsOf('--metadata', flags.metadata),
    metrics: metricsOf(given.text('percentile_metrics')),
    percentiles: flags.metricPercentiles === undefined ? [99] : percentilesFromFlags(flags),
  };
}

/** What is the same for all requests of the run. */
function senderOf(
  given: Reader,
  { backend, url, headers, secrets, insecure }: Target,
  { model, seed, ignoreEos }: { model: string; seed: number; ignoreEos: boolean },
): Omit<SenderSpec, 'tokenizer' | 'keepText'> {
  return {
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
    timeoutMs: timeoutMsOf(given, DEFAULT_TIMEOUT_S),
    maxRetries: given.countFrom(0, 'max_retries') ?? 0,
    requestIdPrefix: given.text('request_id_prefix') ?? `bench-${hex8(seed)}-`,
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
