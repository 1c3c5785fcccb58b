/**
 * What a run amounts to, record by record: vLLM's formulas under vLLM's names, and ours beside them.
 *
 *   TTFT   first chunk with choices − sending                (`content`: first chunk with text)
 *   E2EL   last chunk − sending
 *   ITL    every gap between chunks                           (token ITL: a gap is shared by its tokens)
 *   TPOT   (E2EL − TTFT) / (output tokens − 1), from 2 tokens on
 *
 * Only successes count, except in `failed` and the classes of failures. A record is looked at once and
 * let go, unless details are kept.
 */

import { LatencySketch } from '../core/metrics/quantiles.js';
import type { LatencySummary, Slo } from '../core/metrics/report.js';
import { NS_PER_MS } from '../core/units.js';
import { type Failure, type FailureClass, FailureCounts } from './failures.js';
import type { RequestRecord, TokenSource } from './request.js';
import { Samples } from './samples.js';

export type TtftMode = 'vllm' | 'content';

export interface MeasurementOptions {
  readonly slo?: Slo | undefined;
  readonly ttftMode?: TtftMode;
  /** Whether records are kept. */
  readonly keepRecords?: boolean;
}

export interface Measured {
  readonly completed: number;
  readonly failed: number;
  readonly failures: readonly FailureClass[];
  readonly totalInputTokens: number;
  readonly totalOutputTokens: number;
  readonly totalCachedTokens: number;
  readonly ttft: LatencySummary;
  readonly tpot: LatencySummary;
  readonly itl: LatencySummary;
  readonly e2el: LatencySummary;
  /** First chunk with text, whatever the mode. */
  readonly contentTtft: LatencySummary;
  readonly tokenItl: LatencySummary;
  /** Waiting for a slot at the client, and E2EL with it. */
  readonly queue: LatencySummary;
  readonly e2elWithQueue: LatencySummary;
  /** Sending after the scheduled time (and after a slot was free): the client's own lateness. */
  readonly sendLag: LatencySummary;
  readonly good: number;
  readonly peakOutputTokensPerS: number;
  readonly peakConcurrency: number;
  readonly audioSeconds: number;
  readonly numRetries: number;
  readonly numConnections: number;
  readonly tokenSources: Readonly<Record<TokenSource, number>>;
  readonly streamed: boolean;
  /** In the order they ended; only when they were kept. */
  readonly records: readonly RequestRecord[];
}

export class Measurement {
  readonly #options: MeasurementOptions;
  readonly #ttft = new Samples();
  readonly #tpot = new Samples();
  readonly #itl = new Samples();
  readonly #e2el = new Samples();
  readonly #contentTtft = new Samples();
  readonly #tokenItl = new LatencySketch();
  readonly #queue = new Samples();
  readonly #e2elWithQueue = new Samples();
  readonly #sendLag = new Samples();
  readonly #failures = new FailureCounts();
  readonly #chunksBySecond = new Map<number, number>();
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  readonly #records: RequestRecord[] = [];
  readonly #sources = { usage: 0, tokenizer: 0, estimate: 0 };
  #originMs: number | undefined;
  #completed = 0;
  #failed = 0;
  #input = 0;
  #output = 0;
  #cached = 0;
  #good = 0;
  #audioSeconds = 0;
  #numRetries = 0;
  #numConnections = 0;
  #streamed = true;

  constructor(options: MeasurementOptions = {}) {
    this.#options = options;
  }

  get completed(): number {
    return this.#completed;
  }
  get failed(): number {
    return this.#failed;
  }
  get outputTokens(): number {
    return this.#output;
  }

  add(record: RequestRecord): void {
    if (this.#options.keepRecords) this.#records.push(record);
    this.#originMs ??= record.sentMs;
    this.#numRetries += record.numRetries;
    if (!record.reusedConnection) this.#numConnections++;
    this.#sendLag.add(Math.max(0, record.dispatchedMs - record.scheduledMs));
    if (record.failure) this.#fail(record.failure);
    else this.#succeed(record);
  }

  #fail(failure: Failure): void {
    this.#failed++;
    this.#failures.add(failure);
  }

  #succeed(record: RequestRecord): void {
    const { sentMs, outputTokens, chunkMs } = record;
    const { ttftMs, e2elMs, tpotMs } = latenciesOf(record, this.#options.ttftMode);
    this.#completed++;
    this.#input += record.promptTokens;
    this.#output += outputTokens;
    this.#cached += record.cachedTokens;
    this.#audioSeconds += record.audioSeconds;
    this.#sources[record.tokenSource]++;
    this.#starts.push(sentMs);
    this.#ends.push(sentMs + e2elMs);
    this.#e2el.add(e2elMs);
    const queueMs = Math.max(0, record.dispatchedMs - record.scheduledMs);
    this.#queue.add(queueMs);
    this.#e2elWithQueue.add(e2elMs + queueMs);
    if (tpotMs !== undefined) this.#tpot.add(tpotMs);
    this.#streamed &&= record.streamed;
    if (record.streamed) {
      this.#ttft.add(ttftMs);
      if (record.firstTokenMs !== undefined) this.#contentTtft.add(record.firstTokenMs - sentMs);
      this.#addGaps(record);
    }
    for (const ms of chunkMs) {
      const second = Math.floor((ms - this.#originMs!) / 1e3);
      this.#chunksBySecond.set(second, (this.#chunksBySecond.get(second) ?? 0) + 1);
    }
    const { slo } = this.#options;
    if (slo && isGood(slo, { ttftMs, e2elMs, tpotMs })) this.#good++;
  }

  #addGaps({ chunkMs, outputTokens }: RequestRecord): void {
    const tokensEach = (outputTokens - 1) / Math.max(1, chunkMs.length - 1);
    for (let i = 1; i < chunkMs.length; i++) {
      const gapMs = chunkMs[i]! - chunkMs[i - 1]!;
      this.#itl.add(gapMs);
      if (outputTokens > 1) {
        this.#tokenItl.addWeighted((gapMs / tokensEach) * NS_PER_MS, tokensEach);
      }
    }
  }

  result(): Measured {
    return {
      completed: this.#completed,
      failed: this.#failed,
      failures: this.#failures.classes(),
      totalInputTokens: this.#input,
      totalOutputTokens: this.#output,
      totalCachedTokens: this.#cached,
      ttft: this.#ttft.summary(),
      tpot: this.#tpot.summary(),
      itl: this.#itl.summary(),
      e2el: this.#e2el.summary(),
      contentTtft: this.#contentTtft.summary(),
      tokenItl: this.#tokenItl.summary(),
      queue: this.#queue.summary(),
      e2elWithQueue: this.#e2elWithQueue.summary(),
      sendLag: this.#sendLag.summary(),
      good: this.#good,
      peakOutputTokensPerS: Math.max(0, ...this.#chunksBySecond.values()),
      peakConcurrency: peakOverlap(this.#starts, this.#ends),
      audioSeconds: this.#audioSeconds,
      numRetries: this.#numRetries,
      numConnections: this.#numConnections,
      tokenSources: this.#sources,
      streamed: this.#streamed,
      records: this.#records,
    };
  }
}

/** A value at its bound is good; an answer of one token has no TPOT to be bad. */
const isGood = (
  slo: Slo,
  { ttftMs, tpotMs = 0, e2elMs }: { ttftMs: number; tpotMs: number | undefined; e2elMs: number },
): boolean =>
  ttftMs <= (slo.ttftMs ?? Infinity) &&
  tpotMs <= (slo.tpotMs ?? Infinity) &&
  e2elMs <= (slo.e2elMs ?? Infinity);

/** Latencies of one success; an answer that was not streamed has no TTFT of its own. */
export function latenciesOf(
  record: RequestRecord,
  mode: TtftMode = 'vllm',
): { ttftMs: number; e2elMs: number; tpotMs: number | undefined } {
  const { sentMs, firstChunkMs = sentMs, firstTokenMs = firstChunkMs, outputTokens } = record;
  const e2elMs = (record.lastChunkMs ?? record.endedMs) - sentMs;
  const ttftMs = record.streamed ? (mode === 'vllm' ? firstChunkMs : firstTokenMs) - sentMs : 0;
  return {
    ttftMs,
    e2elMs,
    tpotMs: outputTokens > 1 ? (e2elMs - ttftMs) / (outputTokens - 1) : undefined,
  };
}

/** Records in the order of the load, whoever sent them and whenever they ended. */
export function inLoadOrder(records: readonly RequestRecord[]): RequestRecord[] {
  return [...records].sort(
    (a, b) => a.scheduledMs - b.scheduledMs || Number(a.id) - Number(b.id) || a.sentMs - b.sentMs,
  );
}

/** Most intervals at one instant; one that ends when another starts does not overlap it. */
export function peakOverlap(startsMs: readonly number[], endsMs: readonly number[]): number {
  const starts = Float64Array.from(startsMs).sort();
  const ends = Float64Array.from(endsMs).sort();
  let peak = 0;
  let ended = 0;
  for (let started = 0; started < starts.length; started++) {
    while (ends[ended]! <= starts[started]!) ended++;
    peak = Math.max(peak, started + 1 - ended);
  }
  return peak;
}
