/**
 * Golden traces: what a recorded scheduler was asked, what it decided step by step, and how a replay
 * is held against it.
 *
 * A trace file is JSON lines: the scenario, one line per step, the summary. Only the scenario is read
 * by a replay; everything else it must compute. The comparison stops at the first step that differs,
 * because later differences only follow from it, and tells the weightiest field of that step.
 */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../src/core/errors.js';

/** Scheduler options under vLLM's own (snake_case) names. */
export interface GoldenConfig {
  readonly block_size: number;
  readonly num_gpu_blocks: number;
  readonly max_num_batched_tokens: number;
  /** `null`: as `max_num_batched_tokens`. */
  readonly max_num_scheduled_tokens: number | null;
  readonly max_num_seqs: number;
  /** `null`: as `max_num_seqs`. */
  readonly max_num_active_seqs: number | null;
  readonly max_model_len: number;
  readonly enable_chunked_prefill: boolean;
  readonly enable_prefix_caching: boolean;
  readonly policy: 'fcfs' | 'priority';
  readonly long_prefill_token_threshold: number;
  readonly long_prefill_token_threshold_adaptive: boolean;
  readonly scheduler_reserve_full_isl: boolean;
  readonly watermark: number;
  readonly prefill_schedule_interval: number;
  readonly async_scheduling: boolean;
  readonly num_speculative_tokens: number;
  readonly spec_method: 'ngram' | 'draft_model' | 'eagle' | null;
  readonly spec_draft: 'full' | 'var';
  /** Not in traces: ways of holding prefill back of other engines. Absent: none. */
  readonly scheduler_recv_interval?: number;
  readonly batch_wait_timeout_iters?: number;
  readonly batch_wait_max_tokens_ratio?: number;
  /** Not in traces, which were recorded with one stage. Absent: 1. */
  readonly pipeline_parallel_size?: number;
  /** Absent: no LoRA. */
  readonly max_loras?: number;
  readonly max_cpu_loras?: number;
}

/** Tokens `first … first + length − 1` of the sequence named `seed`: `[seed, length, first = 0]`. */
export type Segment = readonly [seed: number, length: number, first?: number];

/** A request's id is its index in the list, which is sorted by `at`. */
export interface GoldenRequest {
  readonly at: number;
  readonly prompt: readonly Segment[];
  readonly max_tokens: number;
  /** Names the sequence its output tokens are taken from. */
  readonly out: number;
  /** Lower is more urgent; absent: 0. */
  readonly prio?: number;
  /** Name of its LoRA adapter. */
  readonly lora?: string;
  readonly abort?: readonly [step: number, when: 'before' | 'during'];
}

export interface GoldenScenario {
  readonly name: string;
  readonly kind: string;
  readonly note?: string;
  /** `digest`: step lines carry checksums of the long lists. */
  readonly trace?: 'digest';
  /** Schedule calls after which the recording is cut. */
  readonly max_steps?: number;
  readonly config: GoldenConfig;
  readonly derived?: Derived;
  readonly requests: readonly GoldenRequest[];
}

/** What follows from the configuration alone. */
export interface Derived {
  readonly num_lookahead_tokens: number;
  readonly draft_slots: number;
  readonly hash_lookahead_tokens: number;
  readonly watermark_blocks: number;
}

export type Pair = readonly [number, number];
export type Triple = readonly [number, number, number];

/** One step; empty lists are left out, except `sched`, `free`, `cached`, `run` and `wait`. */
export interface StepLine {
  s: number;
  add?: readonly number[];
  abort?: readonly number[];
  abort2?: readonly number[];
  /** `[id, tokens scheduled, tokens computed before]`; absent: no schedule call in this step. */
  sched?: readonly Triple[];
  new?: readonly number[];
  res?: readonly number[];
  pre?: readonly number[];
  hit?: readonly Triple[];
  evict?: readonly Pair[];
  drafts?: readonly Pair[];
  upd?: number;
  acc?: readonly Pair[];
  out?: readonly Pair[];
  fin?: readonly number[];
  free?: Pair;
  cached?: Pair;
  run?: readonly number[];
  wait?: readonly number[];
  /** Digest traces: entries of `sched`, their tokens, FNV-1a over them, lengths of the two lists. */
  n?: number;
  t?: number;
  fnv?: string;
  nr?: number;
  nw?: number;
}

export type RequestRow = readonly [
  id: number,
  end: 'length' | 'abort' | 'unfinished',
  endStep: number | null,
  outputs: number,
  preemptions: number,
  firstScheduled: number | null,
  firstToken: number | null,
];

export interface Summary {
  end: 'done' | 'stuck' | 'max_steps';
  calls: number;
  preemptions: number;
  peak_blocks: number;
  req: readonly RequestRow[];
  /** Prefix caching only. */
  prefix?: Readonly<Record<(typeof PREFIX_KEYS)[number], number>>;
}

export const PREFIX_KEYS = [
  'queries',
  'hits',
  'requests',
  'preempted_queries',
  'preempted_hits',
  'preempted_requests',
] as const;

export interface Replay {
  /** Absent for a replayer of detail `summary`. */
  lines?: readonly StepLine[];
  summary: Summary;
}

/** Something that can run a scenario and tell what it decided. */
export interface Replayer {
  readonly name: string;
  /** Absent: every scenario. */
  supports?(scenario: GoldenScenario): boolean;
  readonly detail: 'full' | 'summary';
  /** Fields of a step line that this replayer has no notion of; named in the table. */
  readonly without?: readonly (keyof StepLine)[];
  replay(scenario: GoldenScenario): Replay;
}

export interface GoldenTrace {
  readonly scenario: GoldenScenario;
  readonly lines: readonly StepLine[];
  readonly summary: Summary;
}

export interface Difference {
  readonly trace: string;
  /** The step (its `s`), or `summary`. */
  readonly step: number | 'summary';
  readonly field: string;
  readonly expected: unknown;
  readonly got: unknown;
}

/** Fields of a step in order of weight: decisions, blocks, prefix cache, the modes' own. */
const FIELDS = [
  's',
  'add',
  'abort',
  'sched',
  'n',
  't',
  'fnv',
  'new',
  'res',
  'pre',
  'fin',
  'run',
  'wait',
  'nr',
  'nw',
  'abort2',
  'free',
  'hit',
  'cached',
  'evict',
  'drafts',
  'acc',
  'out',
  'upd',
] as const satisfies readonly (keyof StepLine)[];

/** The first difference, or `undefined` when the replay made every decision of the trace. */
export function compare(
  expected: GoldenTrace,
  actual: Replay,
  without: readonly (keyof StepLine)[] = [],
): Difference | undefined {
  const trace = expected.scenario.name;
  if (actual.lines) {
    const count = Math.max(expected.lines.length, actual.lines.length);
    for (let i = 0; i < count; i++) {
      const want = expected.lines[i];
      const got = actual.lines[i];
      if (!want || !got) {
        const step = (want ?? got)!.s;
        return { trace, step, field: 'line', expected: want, got };
      }
      for (const field of FIELDS) {
        if (without.includes(field) || same(want[field], got[field])) continue;
        return { trace, step: want.s, field, expected: want[field], got: got[field] };
      }
    }
  }
  return compareSummaries(trace, expected.summary, actual.summary);
}

function compareSummaries(trace: string, want: Summary, got: Summary): Difference | undefined {
  const differs = (field: string, expected: unknown, got: unknown): Difference | undefined =>
    same(expected, got) ? undefined : { trace, step: 'summary', field, expected, got };
  for (let i = 0; i < Math.max(want.req.length, got.req.length); i++) {
    const difference = differs(`req[${i}]`, want.req[i], got.req[i]);
    if (difference) return difference;
  }
  return (
    differs('end', want.end, got.end) ??
    differs('calls', want.calls, got.calls) ??
    differs('preemptions', want.preemptions, got.preemptions) ??
    differs('peak_blocks', want.peak_blocks, got.peak_blocks) ??
    (want.prefix &&
      PREFIX_KEYS.map((key) =>
        differs(`prefix.${key}`, want.prefix?.[key], got.prefix?.[key]),
      ).find((difference) => difference !== undefined))
  );
}

const same = (a: unknown, b: unknown): boolean =>
  a === b || (a !== undefined && b !== undefined && JSON.stringify(a) === JSON.stringify(b));

/** What the configuration implies (rules 12, 40, 41 and 44). */
export function derive(config: GoldenConfig): Derived {
  const k = config.num_speculative_tokens;
  const method = k > 0 ? config.spec_method : null;
  return {
    num_lookahead_tokens: method === 'draft_model' || method === 'eagle' ? k : 0,
    draft_slots: method === 'draft_model' ? 1 : 0,
    hash_lookahead_tokens: method === 'eagle' && config.enable_prefix_caching ? 1 : 0,
    watermark_blocks: Math.floor(config.watermark * config.num_gpu_blocks),
  };
}

/** Turns the long lists of a full line into the checksums of a digest trace. */
export function digest(line: StepLine): StepLine {
  const { sched, run, wait, evict: _evict, out: _out, ...rest } = line;
  const short: StepLine = { ...rest, nr: run?.length ?? 0, nw: wait?.length ?? 0 };
  if (!sched) return short;
  let hash = 0x811c9dc5;
  for (const [id, tokens, computed] of sched) {
    for (const char of `${id}:${tokens}:${computed};`) {
      hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
    }
  }
  const t = sched.reduce((sum, [, tokens]) => sum + tokens, 0);
  return { ...short, n: sched.length, t, fnv: (hash >>> 0).toString(16).padStart(8, '0') };
}

/** Whether a scenario is of the basic subset: synchronous, fcfs, no prefix cache, no drafts. */
export function isBasic({ config }: GoldenScenario): boolean {
  return (
    !config.async_scheduling &&
    config.policy === 'fcfs' &&
    !config.enable_prefix_caching &&
    config.num_speculative_tokens === 0
  );
}

/**
 * The trace files of a golden folder, by name.
 * @throws {ConfigError} if the folder or its `traces` is missing or empty.
 */
export function listTraces(folder: string): string[] {
  const traces = join(folder, 'traces');
  if (!existsSync(traces) || !statSync(traces).isDirectory()) {
    throw new ConfigError('DIR', 'a folder with golden traces in traces/*.jsonl', folder);
  }
  const files = readdirSync(traces).filter((name) => name.endsWith('.jsonl'));
  if (files.length === 0) throw new ConfigError('DIR', 'traces/*.jsonl in it', folder);
  return files.sort().map((name) => join(traces, name));
}

/** @throws {ConfigError} naming file and line where it is not a golden trace. */
export function readTrace(file: string): GoldenTrace {
  const rows = readFileSync(file, 'utf8').trimEnd().split('\n');
  const parsed = rows.map((row, i): Record<string, unknown> => {
    try {
      return JSON.parse(row) as Record<string, unknown>;
    } catch {
      throw new ConfigError(`${file}:${i + 1}`, 'a line of JSON', row.slice(0, 60));
    }
  });
  const scenario = parsed[0]?.scenario as GoldenScenario | undefined;
  const summary = parsed.at(-1)?.summary as Summary | undefined;
  if (!scenario) throw new ConfigError(`${file}:1`, 'a scenario', rows[0]?.slice(0, 60));
  if (!summary) throw new ConfigError(`${file}:${rows.length}`, 'a summary', 'none (cut off?)');
  return { scenario, lines: parsed.slice(1, -1) as unknown as StepLine[], summary };
}
