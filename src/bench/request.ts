/**
 * What a client sends and what it notes about it: a request of a data set, the answer as it comes in,
 * and the record that all metrics are computed from.
 */

import type { Failure } from './failures.js';

export interface Message {
  readonly role: string;
  readonly content: unknown;
}

/** Parts of a chat message besides its text, as the OpenAI API spells them. */
export type MediaPart = Readonly<Record<string, unknown>>;

export interface AudioFile {
  readonly bytes: Uint8Array;
  /** File name with its extension. */
  readonly name: string;
  readonly seconds: number;
}

export interface BenchRequest {
  readonly id: string;
  readonly prompt: string | readonly number[] | readonly Message[];
  /** As the data set or the tokenizer counts it; the server's own count wins where it says one. */
  readonly promptTokens: number;
  /** Asked for, at most; with `ignore_eos` exactly. */
  readonly maxTokens: number;
  readonly media?: readonly MediaPart[];
  readonly audio?: AudioFile;
  /** Fields of the body for this request alone. */
  readonly overrides?: Readonly<Record<string, unknown>>;
  /** Headers for this request alone. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly model?: string;
}

/** An answer while it comes in; backends write what frames say. */
export interface Answer {
  text: string;
  outputTokens?: number;
  promptTokens?: number;
  cachedTokens?: number;
  /** The server has said that this is all. */
  finished: boolean;
  /** The server has said that something went wrong. */
  error?: string;
}

export const newAnswer = (): Answer => ({ text: '', finished: false });

/** Where a number of tokens comes from: the server, our tokenizer, or the length of the text. */
export type TokenSource = 'usage' | 'tokenizer' | 'estimate';

/** One request as it went. Times are milliseconds since the start of the run, on a monotonic clock. */
export interface RequestRecord {
  readonly id: string;
  /** When the load wanted it sent. */
  readonly scheduledMs: number;
  /** When it had a slot under the concurrency limit. */
  readonly dispatchedMs: number;
  /** Directly before the request was written, for the attempt that counts. */
  readonly sentMs: number;
  readonly headersMs?: number | undefined;
  /** First chunk with choices: vLLM's first token. */
  readonly firstChunkMs?: number | undefined;
  /** First chunk that carries text. */
  readonly firstTokenMs?: number | undefined;
  /** Last chunk with choices. */
  readonly lastChunkMs?: number | undefined;
  readonly endedMs: number;
  /** Stamps of all chunks with choices. */
  readonly chunkMs: readonly number[];
  /** How many of them carried text. */
  readonly numTextChunks: number;
  readonly streamed: boolean;
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly cachedTokens: number;
  readonly tokenSource: TokenSource;
  readonly text: string;
  readonly numRetries: number;
  readonly reusedConnection: boolean;
  readonly audioSeconds: number;
  readonly failure?: Failure | undefined;
}
