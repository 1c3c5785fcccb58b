/** What a benchmark leaves behind: result file, rows, report. */

import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { datasetStatsHtml } from '../../bench/dataset-stats.js';
import { inLoadOrder, latenciesOf } from '../../bench/measurement.js';
import type { RequestRecord } from '../../bench/request.js';
import { type BenchResult, resultFileName } from '../../bench/result.js';
import { benchJson } from '../../bench/result-json.js';
import { MOST_THRESHOLDS, timelineHtml } from '../../bench/timeline.js';
import { ConfigError } from '../../core/errors.js';
import { jsonText } from '../../report/json.js';
import { checkFolder, checkOutput, unwritable } from '../../report/output-file.js';
import { csvLine, isCsv } from '../../report/request-rows.js';
import type { Flags } from '../simulate-flags.js';
import { listOf, numberOf } from '../values.js';

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
  thresholdsOf(flags);
  const named = savesResult(flags) ? namedResult(flags) : undefined;
  if (named !== undefined && !flags.appendResult) checkOutput('--save-result', named);
  if (named === undefined && typeof flags.resultDir === 'string') {
    checkFolder('--result-dir', flags.resultDir);
  }
}

const savesResult = ({ saveResult, appendResult, saveDetailed }: Flags): boolean =>
  Boolean(saveResult || appendResult || saveDetailed);

/** The file that was named for the result. */
function namedResult({ saveResult, resultFilename, resultDir }: Flags): string | undefined {
  if (typeof saveResult === 'string') return saveResult;
  if (typeof resultFilename !== 'string') return undefined;
  return typeof resultDir === 'string' ? join(resultDir, resultFilename) : resultFilename;
}

/** Where the result goes, or would go if it were asked for. */
function resultPath(flags: Flags, { config }: BenchResult): string {
  const dir = typeof flags.resultDir === 'string' ? flags.resultDir : '.';
  return namedResult(flags) ?? join(dir, resultFileName(config));
}

/** Writes the result file when one was asked for; where it went. */
export function saveBenchResult(flags: Flags, result: BenchResult): string | undefined {
  if (!savesResult(flags)) return undefined;
  const path = resultPath(flags, result);
  const json = jsonText(benchJson(result, flags.saveDetailed === true));
  try {
    if (flags.appendResult) {
      appendFileSync(path, `${json.replace(/\n\s*/g, ' ').trim()}\n`);
    } else {
      checkOutput('--result-dir', path);
      writeFileSync(path, json);
    }
  } catch (cause) {
    throw cause instanceof ConfigError ? cause : unwritable('--save-result', path, cause);
  }
  return path;
}

/** Writes the plots that were asked for beside the result; where they went. */
export async function savePlots(flags: Flags, result: BenchResult): Promise<string[]> {
  const base = resultPath(flags, result).replace(/\.jsonl?$/, '');
  const written: string[] = [];
  const write = (flag: string, suffix: string, page: string) => {
    const path = `${base}.${suffix}.html`;
    checkOutput(flag, path);
    writeFileSync(path, page);
    written.push(path);
  };
  if (flags.plotTimeline) {
    const thresholds = thresholdsOf(flags);
    write('--plot-timeline', 'timeline', await timelineHtml(result, thresholds));
  }
  if (flags.plotDatasetStats) {
    write('--plot-dataset-stats', 'dataset_stats', await datasetStatsHtml(result));
  }
  return written;
}

/** @throws {ConfigError} */
function thresholdsOf({ timelineItlThresholds: text }: Flags): number[] | undefined {
  if (typeof text !== 'string') return undefined;
  const flag = '--timeline-itl-thresholds';
  const bounds = listOf(flag, text).map((bound) => numberOf(flag, bound));
  const rising = bounds.every((bound, i) => bound > (bounds[i - 1] ?? 0));
  if (rising && bounds.length <= MOST_THRESHOLDS) return bounds;
  throw new ConfigError(flag, `up to ${MOST_THRESHOLDS} rising bounds in ms, like 25,50`, text);
}

/** Rows as `simulate --save-requests` writes them, with what a client can know. */
export function saveRows(path: string, result: BenchResult): void {
  const rows = inLoadOrder(result.measured.records).map((record) => rowOf(record, result));
  const columns = Object.keys(rows[0] ?? {}) as (keyof (typeof rows)[number])[];
  const lines = isCsv(path)
    ? [`${columns.join(',')}\n`, ...rows.map((row) => csvLine(columns, row))]
    : rows.map((row) => `${JSON.stringify(row)}\n`);
  writeFileSync(path, lines.join(''));
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
