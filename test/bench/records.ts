/** Records of requests as the client keeps them: built for tests of what is made of them. */

import type { RequestRecord } from '../../src/bench/request.js';

/** An answer of three tokens that came at once. */
export const recordOf = (change: Partial<RequestRecord> = {}): RequestRecord => ({
  id: '0',
  scheduledMs: 0,
  dispatchedMs: 0,
  sentMs: 1_000,
  endedMs: 1_200,
  chunkMs: [],
  numTextChunks: 0,
  streamed: true,
  promptTokens: 10,
  outputTokens: 3,
  cachedTokens: 0,
  tokenSource: 'usage',
  text: '',
  numRetries: 0,
  reusedConnection: true,
  audioSeconds: 0,
  ...change,
});

/** A request sent at `sentMs` whose chunks of one token came with these gaps. */
export function streamedRecord(
  sentMs: number,
  gapsMs: readonly number[],
  change: Partial<RequestRecord> = {},
): RequestRecord {
  let at = sentMs;
  const chunkMs = gapsMs.map((gap) => {
    at += gap;
    return at;
  });
  const [first] = chunkMs;
  return recordOf({
    id: String(sentMs),
    scheduledMs: sentMs,
    dispatchedMs: sentMs,
    sentMs,
    ...(first !== undefined && { firstChunkMs: first, firstTokenMs: first, lastChunkMs: at }),
    endedMs: at + 1,
    chunkMs,
    numTextChunks: chunkMs.length,
    outputTokens: chunkMs.length,
    ...change,
  });
}
