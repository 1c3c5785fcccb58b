/**
 * One row per request, written as requests end: JSON Lines, or CSV when the file is called so.
 *
 * Rows are collected into chunks and written synchronously, so memory does not grow with the run. A
 * row can be replayed: both forms are trace formats.
 */

import { closeSync, writeSync } from 'node:fs';
import type { RequestOutcome, Tracer } from '../core/trace/tracer.js';
import { NS_PER_MS } from '../core/units.js';
import { openOutput, unwritable } from './output-file.js';

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
  };
}

const CHUNK_CHARS = 65_536;

export class RequestRows implements Tracer {
  readonly #csv: boolean;
  readonly #path: string;
  readonly #fd: number;
  #chunk = '';

  /** @throws {ConfigError} when the file cannot be written, before anything is simulated */
  constructor(path: string, flag = '--save-requests') {
    this.#path = path;
    this.#csv = path.toLowerCase().endsWith('.csv');
    this.#fd = openOutput(flag, path);
    if (this.#csv) this.#chunk = `${ROW_COLUMNS.join(',')}\n`;
  }

  requestFinish(outcome: RequestOutcome): void {
    const row = rowOf(outcome);
    this.#chunk += this.#csv
      ? `${ROW_COLUMNS.map((column) => cell(row[column])).join(',')}\n`
      : `${JSON.stringify(row)}\n`;
    if (this.#chunk.length >= CHUNK_CHARS) this.#flush();
  }

  close(): void {
    this.#flush();
    closeSync(this.#fd);
  }

  #flush(): void {
    try {
      writeSync(this.#fd, this.#chunk);
    } catch (cause) {
      throw unwritable(this.#path, this.#path, cause);
    }
    this.#chunk = '';
  }
}

function cell(value: string | number | null): string {
  if (value === null) return '';
  const text = String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
