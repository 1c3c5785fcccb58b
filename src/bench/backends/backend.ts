/**
 * A backend: the protocol of one kind of server. It says where requests go, what their body is, and
 * what a frame of the answer means; sending, timing and counting are the same for all.
 */

import type { Answer, AudioFile, BenchRequest } from '../request.js';

/** What every request of a run has in common. */
export interface BodySettings {
  readonly model: string;
  /** Sampling fields the user gave: `temperature`, `top_p`, ... */
  readonly sampling: Readonly<Record<string, number>>;
  readonly ignoreEos: boolean;
  readonly logprobs?: number | undefined;
  readonly chatTemplateKwargs?: Readonly<Record<string, unknown>> | undefined;
}

export interface Body {
  readonly fields: Record<string, unknown>;
  /** Sent as a multipart form with the fields, instead of JSON. */
  readonly file?: AudioFile;
}

/**
 * What a frame brought: a chunk that carries text, a chunk with choices but without text (a role, a
 * finish reason), or neither (usage, a comment, an end mark).
 */
export type FrameKind = 'text' | 'empty' | 'none';

export interface Backend {
  readonly name: string;
  readonly about: string;
  /** Where requests go unless `--endpoint` says otherwise. */
  readonly path: string;
  /** What a URL must end with, where the protocol depends on it. */
  readonly ending?: RegExp;
  /** Whether answers come as server-sent events; otherwise whole. */
  readonly streams: boolean;
  /** Whether it takes the sampling flags and `ignore_eos` by their OpenAI and vLLM names. */
  readonly openAiCompatible: boolean;
  /** What prompts it takes. */
  readonly prompts: 'text' | 'messages' | 'audio';
  /** Port where such a server usually listens. */
  readonly port: number;
  body(request: BenchRequest, settings: BodySettings): Body;
  /**
   * Notes in `answer` what a frame (or the whole body) says.
   *
   * @throws {SyntaxError} when it is not the JSON it should be
   */
  read(data: string, answer: Answer): FrameKind;
  /** Whether the end of the connection alone ends an answer; otherwise the server must say so. */
  readonly endsWithConnection?: boolean;
}

export type JsonObject = Readonly<Record<string, unknown>>;

/** Parses a frame. @throws {SyntaxError} */
export function parseFrame(data: string): JsonObject {
  const value: unknown = JSON.parse(data);
  if (value === null || typeof value !== 'object') throw new SyntaxError('not a JSON object');
  return value as JsonObject;
}

/** Notes an `error` of any common shape; whether there was one. */
export function readError(frame: JsonObject, answer: Answer): boolean {
  const { error } = frame;
  if (error === undefined || error === null) return false;
  const message = typeof error === 'object' ? (error as JsonObject).message : error;
  answer.error = typeof message === 'string' ? message : JSON.stringify(error);
  return true;
}

/** Notes OpenAI's `usage`; the last one wins. */
export function readUsage(frame: JsonObject, answer: Answer): void {
  const usage = frame.usage as JsonObject | null | undefined;
  if (!usage) return;
  const { completion_tokens: output, prompt_tokens: prompt } = usage;
  if (typeof output === 'number') answer.outputTokens = output;
  if (typeof prompt === 'number') answer.promptTokens = prompt;
  const details = usage.prompt_tokens_details as JsonObject | null | undefined;
  if (typeof details?.cached_tokens === 'number') answer.cachedTokens = details.cached_tokens;
}

/** The text of a prompt for servers that take nothing else. */
export function promptText({ prompt }: BenchRequest): string {
  if (typeof prompt === 'string') return prompt;
  return (prompt as readonly unknown[])
    .map((part) => {
      const content = (part as { content?: unknown }).content;
      return typeof content === 'string' ? content : '';
    })
    .join('\n');
}
