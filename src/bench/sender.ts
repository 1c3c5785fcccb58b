/**
 * Sends one request and makes its record: the stamp of every chunk is taken when its bytes arrive,
 * before anything is parsed; what happens after the last chunk is not part of any latency.
 */

import type { Backend, FrameKind } from './backends/backend.js';
import type { BodyEncoder, EncodedBody } from './body.js';
import { type Failure, httpFailure, messageOf, redacted } from './failures.js';
import type { Exchanged, HttpClient } from './http-client.js';
import { type Answer, type BenchRequest, newAnswer, type RequestRecord } from './request.js';
import { SseParser } from './sse.js';
import type { ThreadMonitor } from './thread-monitor.js';
import type { TokenCounter } from './token-counter.js';

export interface SenderOptions {
  readonly client: HttpClient;
  readonly monitor?: ThreadMonitor | undefined;
  readonly backend: Backend;
  readonly encoder: BodyEncoder;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** What must not be printed or stored. */
  readonly secrets: readonly string[];
  readonly counter: TokenCounter;
  readonly timeoutMs: number;
  /** Attempts after a refusal for overload (429, 503) or a lost connection. */
  readonly maxRetries: number;
  /** Whether texts are kept in the records. */
  readonly keepText: boolean;
  readonly requestIdPrefix?: string | undefined;
}

/** When a request was wanted and when it had a slot, by `performance.now`. */
export interface SendTimes {
  readonly originMs: number;
  readonly scheduledMs: number;
  readonly dispatchedMs: number;
}

interface Attempt {
  readonly answer: Answer;
  readonly chunkMs: number[];
  numTextChunks: number;
  firstTokenMs: number | undefined;
  malformed: string | undefined;
  readonly exchanged: Exchanged;
}

const OVERLOAD = new Set([429, 503]);
const BACKOFF_S = 1;
const LONGEST_PAUSE_S = 60;

export class Sender {
  constructor(readonly options: SenderOptions) {}

  /** Never rejects: a failure is a record too. */
  async send(
    request: BenchRequest,
    times: SendTimes,
    signal?: AbortSignal,
  ): Promise<RequestRecord> {
    const { encoder, maxRetries } = this.options;
    let numRetries = 0;
    for (let mends = 0, stale = 0; ; ) {
      const body = encoder.encode(request);
      const attempt = await this.#attempt(request, body, signal);
      const { exchanged } = attempt;
      if (signal?.aborted) return this.#record(request, attempt, times, numRetries);
      const { status, errorBody, failure, reused } = exchanged;
      if (
        status >= 400 &&
        mends < 4 &&
        encoder.mend(status, messageOf(errorBody) ?? errorBody, body)
      ) {
        mends++;
        continue;
      }
      // The server had closed a kept connection while the request was on its way: nobody's failure.
      if (failure?.kind === 'reset' && reused && status === 0 && stale++ < 2) continue;
      const again = OVERLOAD.has(status) || (failure?.kind === 'reset' && status === 0);
      if (!again || numRetries >= maxRetries) {
        return this.#record(request, attempt, times, numRetries);
      }
      const pauseS = exchanged.retryAfterS ?? BACKOFF_S * 2 ** numRetries;
      numRetries++;
      await pause(Math.min(pauseS, LONGEST_PAUSE_S) * 1e3, signal);
    }
  }

  async #attempt(
    request: BenchRequest,
    body: EncodedBody,
    signal: AbortSignal | undefined,
  ): Promise<Attempt> {
    const { backend, client, url, headers, timeoutMs, requestIdPrefix } = this.options;
    const answer = newAnswer();
    const chunkMs: number[] = [];
    let numTextChunks = 0;
    let firstTokenMs: number | undefined;
    let malformed: string | undefined;
    let now = 0;
    const onFrame = (data: string) => {
      let kind: FrameKind;
      try {
        kind = backend.read(data, answer);
      } catch {
        malformed ??= data.slice(0, 120);
        return;
      }
      if (kind === 'none') return;
      chunkMs.push(now);
      if (kind === 'empty') return;
      numTextChunks++;
      firstTokenMs ??= now;
    };
    const parser = backend.streams ? new SseParser(onFrame) : undefined;
    const whole: Buffer[] = [];
    const exchanged = await client.exchange({
      url,
      method: 'POST',
      headers: {
        ...headers,
        'content-type': body.contentType,
        ...(requestIdPrefix !== undefined && { 'x-request-id': requestIdPrefix + request.id }),
        ...request.headers,
      },
      body: body.bytes,
      timeoutMs,
      signal,
      onData(bytes, atMs) {
        now = atMs;
        if (parser) parser.push(bytes);
        else whole.push(bytes);
      },
    });
    if (exchanged.status === 200) {
      parser?.end();
      if (!parser && whole.length > 0) onFrame(Buffer.concat(whole).toString('utf8'));
    }
    this.options.monitor?.answered(chunkMs.length);
    return { answer, chunkMs, numTextChunks, firstTokenMs, malformed, exchanged };
  }

  #record(
    request: BenchRequest,
    attempt: Attempt,
    { originMs, scheduledMs, dispatchedMs }: SendTimes,
    numRetries: number,
  ): RequestRecord {
    const { backend, counter, keepText } = this.options;
    const { answer, chunkMs, exchanged, firstTokenMs } = attempt;
    const since = (ms: number | undefined) => (ms === undefined ? undefined : ms - originMs);
    const failure = this.#failureOf(attempt);
    const counted = answer.outputTokens !== undefined;
    const outputTokens =
      answer.outputTokens ?? (answer.text === '' ? 0 : counter.count(answer.text));
    return {
      id: request.id,
      scheduledMs: scheduledMs - originMs,
      dispatchedMs: dispatchedMs - originMs,
      sentMs: exchanged.sentMs - originMs,
      headersMs: since(exchanged.headersMs),
      firstChunkMs: since(chunkMs[0]),
      firstTokenMs: since(firstTokenMs),
      lastChunkMs: since(chunkMs.at(-1)),
      endedMs: exchanged.endedMs - originMs,
      chunkMs: chunkMs.map((ms) => ms - originMs),
      numTextChunks: attempt.numTextChunks,
      streamed: backend.streams,
      promptTokens: answer.promptTokens ?? request.promptTokens,
      outputTokens,
      cachedTokens: answer.cachedTokens ?? 0,
      tokenSource: counted ? 'usage' : counter.source,
      text: keepText ? redacted(answer.text, this.options.secrets) : '',
      numRetries,
      reusedConnection: exchanged.reused,
      audioSeconds: request.audio?.seconds ?? 0,
      ...(failure && {
        failure: { ...failure, message: redacted(failure.message, this.options.secrets) },
      }),
    };
  }

  #failureOf({ answer, chunkMs, malformed, exchanged }: Attempt): Failure | undefined {
    const { backend } = this.options;
    const { status, failure, errorBody, reason } = exchanged;
    if (failure) return failure;
    if (status !== 200) return httpFailure(status, reason, errorBody);
    if (answer.error !== undefined) return { kind: 'error_frame', message: answer.error };
    if (malformed !== undefined) {
      return { kind: 'malformed', message: `a frame that is not JSON: ${malformed}` };
    }
    if (chunkMs.length === 0) return { kind: 'empty', message: 'no chunk with an answer came' };
    if (!answer.finished && !backend.endsWithConnection) {
      return {
        kind: 'cut',
        message: `the stream ended after ${chunkMs.length} chunks, unfinished`,
      };
    }
    return undefined;
  }
}

/** A request whose sender is gone. */
export function lostRecord(
  request: BenchRequest,
  { originMs, scheduledMs, dispatchedMs }: SendTimes,
  failure: Failure,
): RequestRecord {
  const sentMs = dispatchedMs - originMs;
  return {
    id: request.id,
    scheduledMs: scheduledMs - originMs,
    dispatchedMs: sentMs,
    sentMs,
    endedMs: performance.now() - originMs,
    chunkMs: [],
    numTextChunks: 0,
    streamed: true,
    promptTokens: request.promptTokens,
    outputTokens: 0,
    cachedTokens: 0,
    tokenSource: 'estimate',
    text: '',
    numRetries: 0,
    reusedConnection: true,
    audioSeconds: request.audio?.seconds ?? 0,
    failure,
  };
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end, { once: true });
  });
}
