/**
 * Statistics of a multi-turn run: a row per request under vLLM's names, and tables as pandas describes
 * columns (sample standard deviation), the first part of the run left out as often as asked.
 */

import { quantileOf } from '../../core/metrics/quantiles.js';
import { table } from '../../report/format.js';
import type { Played, PlayedTurn } from './play.js';

export interface TurnRow {
  readonly ttft_ms: number;
  readonly tpot_ms: number;
  readonly latency_ms: number;
  readonly start_time_ms: number;
  readonly input_num_turns: number;
  readonly input_num_tokens: number;
  readonly output_num_tokens: number;
  readonly output_num_chunks: number;
  readonly output_num_first_chunk_tokens: number;
  readonly approx_cached_percent: number;
  readonly conversation_id: string;
  readonly client_id: number;
  readonly cached_tokens: number;
  readonly end_time_ms: number;
}

const SHORTEST_TTFT_MS = 0.1;

/** Rows of the answered turns, in the order they were sent. */
export function rowsOf({ turns }: Played): TurnRow[] {
  return turns
    .filter(({ record }) => record.failure === undefined)
    .map(rowOf)
    .sort((a, b) => a.start_time_ms - b.start_time_ms);
}

function rowOf({
  record,
  conversation,
  client,
  numTurns,
  historyTokens,
  inputTokens,
}: PlayedTurn): TurnRow {
  const { sentMs, outputTokens, numTextChunks, endedMs } = record;
  const latency = endedMs - sentMs;
  const rawTtft = (record.firstTokenMs ?? endedMs) - sentMs;
  // A first chunk with several tokens came later than its first token.
  const first = Math.max(1, outputTokens - numTextChunks + 1);
  const firstTokens = numTextChunks > 0 ? first : 0;
  const tpot = outputTokens > firstTokens ? (latency - rawTtft) / (outputTokens - firstTokens) : 0;
  return {
    ttft_ms: Math.max(SHORTEST_TTFT_MS, rawTtft - (Math.max(1, firstTokens) - 1) * tpot),
    tpot_ms: tpot,
    latency_ms: latency,
    start_time_ms: sentMs,
    input_num_turns: numTurns,
    input_num_tokens: inputTokens,
    output_num_tokens: outputTokens,
    output_num_chunks: numTextChunks,
    output_num_first_chunk_tokens: firstTokens,
    approx_cached_percent: inputTokens > 0 ? Math.min(100, (100 * historyTokens) / inputTokens) : 0,
    conversation_id: conversation,
    client_id: client,
    cached_tokens: record.cachedTokens,
    end_time_ms: endedMs,
  };
}

const COLUMNS = [
  ...(['ttft_ms', 'tpot_ms', 'latency_ms', 'input_num_turns'] as const),
  ...(['input_num_tokens', 'output_num_tokens', 'output_num_chunks'] as const),
] as const;
export type StatColumn = (typeof COLUMNS)[number];

/** A column described: `count`, `mean`, `std`, `min`, percentiles, `max`. */
export type Described = Readonly<Record<string, number>>;

export function describe(values: readonly number[]): Described {
  const sorted = Float64Array.from(values).sort();
  const n = sorted.length;
  const mean = sorted.reduce((sum, value) => sum + value, 0) / n;
  const squares = sorted.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const percents = [25, 50, 75, 90];
  if (n >= 100) percents.push(99);
  if (n >= 1_000) percents.push(99.9);
  if (n >= 10_000) percents.push(99.99);
  return {
    count: n,
    mean,
    std: n > 1 ? Math.sqrt(squares / (n - 1)) : Number.NaN,
    min: sorted[0] ?? Number.NaN,
    ...Object.fromEntries(percents.map((p) => [`${p}%`, quantileOf(sorted, p / 100)])),
    max: sorted[n - 1] ?? Number.NaN,
  };
}

export interface Statistics {
  readonly warmupPercent: number;
  readonly columns: Readonly<Record<StatColumn, Described>>;
}

/** One table per part that is left out, in percent of the rows by start. */
export function statisticsOf(
  rows: readonly TurnRow[],
  warmupPercents: readonly number[],
): Statistics[] {
  return warmupPercents.map((warmupPercent) => {
    const kept = rows.slice(Math.floor((rows.length * warmupPercent) / 100));
    const columns = COLUMNS.map((name) => [name, describe(kept.map((row) => row[name]))] as const);
    return { warmupPercent, columns: Object.fromEntries(columns) as Statistics['columns'] };
  });
}

/** What later turns gain from the prefix cache: one row per number of messages sent. */
export interface TurnStatistics {
  readonly input_num_turns: number;
  readonly count: number;
  readonly mean_ttft_ms: number;
  readonly mean_tpot_ms: number;
  readonly mean_input_num_tokens: number;
  readonly mean_cached_tokens: number;
}

export function byTurn(rows: readonly TurnRow[]): TurnStatistics[] {
  const groups = new Map<number, TurnRow[]>();
  for (const row of rows) {
    groups.set(row.input_num_turns, [...(groups.get(row.input_num_turns) ?? []), row]);
  }
  return [...groups.keys()]
    .sort((a, b) => a - b)
    .map((turns) => {
      const group = groups.get(turns)!;
      const mean = (name: 'ttft_ms' | 'tpot_ms' | 'input_num_tokens' | 'cached_tokens') =>
        group.reduce((sum, row) => sum + row[name], 0) / group.length;
      return {
        input_num_turns: turns,
        count: group.length,
        mean_ttft_ms: mean('ttft_ms'),
        mean_tpot_ms: mean('tpot_ms'),
        mean_input_num_tokens: mean('input_num_tokens'),
        mean_cached_tokens: mean('cached_tokens'),
      };
    });
}

export function statisticsText(statistics: Statistics): string {
  const names = Object.keys(statistics.columns) as StatColumn[];
  const stats = Object.keys(statistics.columns.ttft_ms);
  const rows = names.map((name) => [
    name,
    ...stats.map((stat) => cell(statistics.columns[name][stat]!)),
  ]);
  return `${table([['', ...stats], ...rows]).join('\n')}\n`;
}

export function byTurnText(turns: readonly TurnStatistics[]): string {
  const header = ['messages', 'requests', 'TTFT ms', 'TPOT ms', 'input tokens', 'cached tokens'];
  const rows = turns.map((t) => [
    String(t.input_num_turns),
    String(t.count),
    ...[t.mean_ttft_ms, t.mean_tpot_ms, t.mean_input_num_tokens, t.mean_cached_tokens].map(cell),
  ]);
  return `${table([header, ...rows]).join('\n')}\n`;
}

const cell = (value: number): string =>
  Number.isNaN(value) ? '-' : Number.isInteger(value) ? String(value) : value.toFixed(2);
