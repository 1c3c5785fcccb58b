/** What a benchmark saw, as a recording: a real server's behaviour, to be simulated or served again. */

import { RecordingFile } from '../files/recorder.js';
import { inLoadOrder } from './measurement.js';
import type { RequestRecord } from './request.js';
import type { BenchResult } from './result.js';

export function recordResult(path: string, { measured, config }: BenchResult): void {
  const file = new RecordingFile(path);
  for (const record of inLoadOrder(measured.records)) {
    const times = tokenTimes(record);
    const failed = record.failure !== undefined;
    file.write({
      id: record.id,
      model: config.model,
      arrivalMs: record.sentMs,
      promptTokens: Math.max(1, record.promptTokens),
      outputTokens: times.length,
      cachedTokens: record.cachedTokens,
      priority: 0,
      finishReason: failed ? 'abort' : 'length',
      ttftMs: times.length === 0 ? undefined : times[0]! - record.sentMs,
      gapsMs: times.slice(1).map((at, i) => Math.max(0, at - times[i]!)),
    });
  }
  file.close();
}

/**
 * When each token came. Chunks before the first text (a role) and after the last token (why it ended)
 * carry none; where chunks are fewer than tokens, tokens are spread evenly over them.
 */
export function tokenTimes(
  record: Pick<RequestRecord, 'chunkMs' | 'firstTokenMs' | 'outputTokens' | 'endedMs'>,
): number[] {
  const { chunkMs, firstTokenMs = 0, outputTokens, endedMs } = record;
  const withText = chunkMs.filter((ms) => ms >= firstTokenMs).slice(0, outputTokens);
  const stamps = withText.length > 0 ? withText : [endedMs];
  return Array.from(
    { length: outputTokens },
    (_, k) => stamps[Math.floor((k * stamps.length) / outputTokens)]!,
  );
}
