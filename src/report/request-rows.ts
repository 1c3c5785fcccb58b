/**
 * One row per request, written as requests end: JSON Lines, or CSV when the file is called so.
 *
 * A row can be replayed: both forms are trace formats.
 */

import type { RequestOutcome, Tracer } from '../core/trace/tracer.js';
import { NS_PER_MS } from '../core/units.js';
import { csvCell } from './format.js';
import { TextFile } from './text-file.js';

export const ROW_COLUMNS = [
  'request_id',
  'arrival_ms',
  'prompt_tokens',
  'output_tokens',
  'cached_tokens',
  'ttft_ms',
  'tpot_ms',
  'e2e_ms',
  'queue_ms',
  'num_preemptions',
  'instance',
  'finish_reason',
  'lora',
] as const;

export type RequestRow = { readonly [K in (typeof ROW_COLUMNS)[number]]: string | number | null };

/** Absent values are null; times are milliseconds, TPOT is absent for one token. */
export function rowOf(outcome: RequestOutcome): RequestRow {
  const { arrivedAt, scheduledAt, firstTokenAt, lastTokenAt, outputTokens } = outcome;
  const since = (at: number | undefined) =>
    at === undefined ? null : (at - arrivedAt) / NS_PER_MS;
  const hasGaps = outputTokens > 1 && lastTokenAt !== undefined && firstTokenAt !== undefined;
  return {
    request_id: outcome.spec.id ?? String(outcome.index),
    arrival_ms: arrivedAt / NS_PER_MS,
    prompt_tokens: outcome.spec.promptTokens,
    output_tokens: outputTokens,
    cached_tokens: outcome.cachedTokens,
    ttft_ms: since(firstTokenAt),
    tpot_ms: hasGaps ? (lastTokenAt - firstTokenAt) / (outputTokens - 1) / NS_PER_MS : null,
    e2e_ms: since(lastTokenAt),
    queue_ms: since(scheduledAt),
    num_preemptions: outcome.numPreemptions,
    instance: outcome.instance < 0 ? null : outcome.instance,
    finish_reason: outcome.reason,
    lora: outcome.spec.lora ?? null,
  };
}

export class RequestRows implements Tracer {
  readonly #csv: boolean;
  readonly #file: TextFile;

  /** @throws {ConfigError} when the file cannot be written, before anything is simulated */
  constructor(path: string, flag = '--save-requests') {
    this.#csv = isCsv(path);
    this.#file = new TextFile(flag, path);
    if (this.#csv) this.#file.write(`${ROW_COLUMNS.join(',')}\n`);
  }

  requestFinish(outcome: RequestOutcome): void {
    const row = rowOf(outcome);
    this.#file.write(this.#csv ? csvLine(ROW_COLUMNS, row) : `${JSON.stringify(row)}\n`);
  }

  close(): void {
    this.#file.close();
  }
}

/** What a file is called decides what is in it. */
export const isCsv = (path: string): boolean => path.toLowerCase().endsWith('.csv');

/** One line of CSV, its cells in the order of `columns`. */
export const csvLine = <K extends string>(
  columns: readonly K[],
  row: Readonly<Record<K, string | number | null>>,
): string => `${columns.map((column) => csvCell(row[column])).join(',')}\n`;
