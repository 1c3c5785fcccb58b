/** What a benchmark leaves behind: result file, rows, report. */

import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inLoadOrder, latenciesOf } from '../../bench/measurement.js';
import type { RequestRecord } from '../../bench/request.js';
import { type BenchResult, resultFileName } from '../../bench/result.js';
import { benchJson } from '../../bench/result-json.js';
import { ConfigError } from '../../core/errors.js';
import { checkOutput, unwritable } from '../../report/output-file.js';
import { jsonText } from '../../report/result-json.js';
import type { Flags } from '../simulate-flags.js';

/** Refuses files that cannot be written before anything is sent. */
export function checkFiles(flags: Flags): void {
  if (flags.appendResult && !namedResult(flags)) {
    throw new ConfigError('--append-result', '--result-filename beside it', undefined);
  }
  for (const [flag, path] of [
    ['--save-requests', flags.saveRequests],
    ['--html', flags.html],
    ['--record', flags.record],
  ] as const) {
    if (typeof path === 'string') checkOutput(flag, path);
  }
  const named = namedResult(flags);
  if (named !== undefined && !flags.appendResult) checkOutput('--save-result', named);
}

function namedResult(flags: Flags): string | undefined {
  if (typeof flags.saveResult === 'string') return flags.saveResult;
  if (flags.saveResult !== true && flags.appendResult !== true && flags.saveDetailed !== true) {
    return undefined;
  }
  const { resultFilename, resultDir } = flags;
  if (typeof resultFilename !== 'string') return undefined;
  return typeof resultDir === 'string' ? join(resultDir, resultFilename) : resultFilename;
}

/** Writes the result file when one was asked for; where it went. */
export function saveBenchResult(flags: Flags, result: BenchResult): string | undefined {
  if (!flags.saveResult && !flags.appendResult && !flags.saveDetailed) return undefined;
  const dir = typeof flags.resultDir === 'string' ? flags.resultDir : '.';
  const path = namedResult(flags) ?? join(dir, resultFileName(result.config));
  const json = benchJson(result, flags.saveDetailed === true);
  try {
    if (flags.appendResult)
      appendFileSync(path, `${jsonText(json).replace(/\n\s*/g, ' ').trim()}\n`);
    else {
      checkOutput('--result-dir', path);
      writeFileSync(path, jsonText(json));
    }
  } catch (cause) {
    throw cause instanceof ConfigError ? cause : unwritable('--save-result', path, cause);
  }
  return path;
}

/** Rows as `simulate --save-requests` writes them, with what a client can know. */
export function saveRows(path: string, result: BenchResult): void {
  const rows = inLoadOrder(result.measured.records).map((record) => rowOf(record, result));
  const csv = path.endsWith('.csv');
  const header = csv ? `${Object.keys(rows[0] ?? {}).join(',')}\n` : '';
  const lines = rows.map((row) =>
    csv ? Object.values(row).map(csvCell).join(',') : JSON.stringify(row),
  );
  writeFileSync(path, `${header}${lines.join('\n')}\n`);
}

function rowOf(record: RequestRecord, { config }: BenchResult) {
  const { ttftMs, tpotMs, e2elMs } = latenciesOf(record, config.ttftMode);
  const ok = record.failure === undefined;
  return {
    request_id: record.id,
    arrival_ms: record.sentMs,
    prompt_tokens: record.promptTokens,
    output_tokens: record.outputTokens,
    cached_tokens: record.cachedTokens,
    ttft_ms: ok && record.streamed ? ttftMs : null,
    tpot_ms: ok ? (tpotMs ?? null) : null,
    e2e_ms: ok ? e2elMs : null,
    queue_ms: Math.max(0, record.dispatchedMs - record.scheduledMs),
    finish_reason: record.failure?.kind ?? 'finished',
  };
}

const csvCell = (value: unknown): string => {
  const text = value === null ? '' : String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
