/**
 * Recordings: what a server was asked and when its tokens left, one JSON line per request.
 *
 * A line stands for itself and carries the version of its form, so a file that was cut by a crash is
 * whole up to its last line, and two files put together are one. Lines are in the order in which
 * requests ended; who replays them sorts them by arrival. A recording is a trace as well: what arrived,
 * how long it was, and which prompts share a prefix.
 */

import { readFileSync } from 'node:fs';
import { gunzipSync, constants as zlib } from 'node:zlib';
import type { FinishReason, PromptSegment, RequestSpec } from '../core/engine.js';
import { ConfigError } from '../core/errors.js';
import { NS_PER_MS } from '../core/units.js';
import type { TraceSource } from '../core/workload/trace-replay.js';
import { LineReader, unreadable } from './line-reader.js';

export const RECORDING_VERSION = 1;

/** One request, as it was. Times in milliseconds. */
export interface RecordedRequest {
  readonly id: string;
  readonly model?: string | undefined;
  readonly arrivalMs: number;
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly cachedTokens: number;
  readonly priority: number;
  /** Name of its LoRA adapter. */
  readonly lora?: string | undefined;
  readonly finishReason: FinishReason;
  /** Arrival to first token; absent: there was none. */
  readonly ttftMs: number | undefined;
  /** From each token to the next; tokens that left together are 0 apart. */
  readonly gapsMs: readonly number[];
  /** Identity of the prompt's tokens. */
  readonly prompt?: readonly PromptSegment[] | undefined;
  /** Separates prefix caches. */
  readonly cacheSalt?: string | undefined;
  /** The prompt itself, where the recording keeps texts. */
  readonly promptText?: string | undefined;
}

/** Microseconds are enough. */
const rounded = (ms: number): number => Math.round(ms * 1e3) / 1e3;

export function lineOf(request: RecordedRequest): string {
  const { prompt, ttftMs } = request;
  return `${JSON.stringify({
    recording: RECORDING_VERSION,
    request_id: request.id,
    model: request.model,
    arrival_ms: rounded(request.arrivalMs),
    prompt_tokens: request.promptTokens,
    output_tokens: request.outputTokens,
    cached_tokens: request.cachedTokens,
    priority: request.priority,
    lora: request.lora,
    finish_reason: request.finishReason,
    ttft_ms: ttftMs === undefined ? null : rounded(ttftMs),
    gaps_ms: request.gapsMs.map(rounded),
    prefix: prompt?.map(({ content, length, first }) =>
      first === undefined ? [content, length] : [content, length, first],
    ),
    cache_salt: request.cacheSalt,
    prompt: request.promptText,
  })}\n`;
}

/** Whether a parsed line is one of a recording. */
export const isRecording = (row: Readonly<Record<string, unknown>>): boolean => 'recording' in row;

export interface ReadOptions {
  /** How the user named the file, for errors. */
  readonly flag?: string;
  /** Told of a last line that was cut off. */
  readonly onWarning?: (text: string) => void;
}

/**
 * All requests of a recording, by arrival.
 *
 * @throws {ConfigError} naming file, line and field
 */
export function readRecording(path: string, options: ReadOptions = {}): RecordedRequest[] {
  const { flag = path, onWarning } = options;
  const lines = path.endsWith('.gz') ? unpacked(path, flag) : new LineReader(path, flag);
  const requests: RecordedRequest[] = [];
  for (let line = lines.next(); line !== undefined; line = lines.next()) {
    if (line.trim() === '') continue;
    const at = `${path}:${lines.lineNumber}`;
    const row = parsed(line);
    if (row) requests.push(requestOf(row, at));
    else if (lines.next() === undefined && requests.length > 0) {
      onWarning?.(`${at}: the last line is cut off; it is left out`);
      break;
    } else throw new ConfigError(at, 'a JSON object', line.slice(0, 80));
  }
  if (requests.length === 0) throw new ConfigError(path, 'a recording', 'an empty file');
  return requests.sort((a, b) => a.arrivalMs - b.arrivalMs);
}

/** A recording as a trace, its first request at time 0. @throws {ConfigError} */
export function openRecording(path: string, options?: ReadOptions): TraceSource {
  const requests = readRecording(path, options);
  const originMs = requests[0]!.arrivalMs;
  let next = 0;
  return {
    next() {
      const request = requests[next++];
      if (!request) return undefined;
      const { id, promptTokens, outputTokens, priority, lora, prompt, cacheSalt } = request;
      // One who left before a token came asked for some all the same.
      const maxTokens = Math.max(1, outputTokens);
      const spec: RequestSpec = {
        id,
        promptTokens,
        maxTokens,
        priority,
        ...(lora !== undefined && { lora }),
        ...(prompt && { prompt }),
        ...(cacheSalt !== undefined && { cacheSalt }),
      };
      return { at: Math.round((request.arrivalMs - originMs) * NS_PER_MS), spec };
    },
  };
}

interface Lines {
  readonly lineNumber: number;
  next(): string | undefined;
}

/** Members of a gzip file that a crash cut short are read as far as they go. */
function unpacked(path: string, flag: string): Lines {
  let text: string;
  try {
    text = gunzipSync(readFileSync(path), { finishFlush: zlib.Z_SYNC_FLUSH }).toString();
  } catch (cause) {
    const { code = '' } = cause as NodeJS.ErrnoException;
    if (code.startsWith('Z_')) throw new ConfigError(flag, 'a gzip file', path);
    throw unreadable(flag, path, cause);
  }
  const lines = text.split('\n');
  let number = 0;
  return {
    get lineNumber() {
      return number;
    },
    next: () => lines[number++],
  };
}

type Row = Readonly<Record<string, unknown>>;

function parsed(line: string): Row | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return value !== null && typeof value === 'object' ? (value as Row) : undefined;
  } catch {
    return undefined;
  }
}

function requestOf(row: Row, at: string): RecordedRequest {
  const wrong = (field: string, expected: string): never => {
    throw new ConfigError(`${at}: ${field}`, expected, row[field]);
  };
  const number = (field: string, least = 0): number => {
    const value = row[field];
    if (typeof value === 'number' && value >= least && value < Infinity) return value;
    return wrong(field, `a number of at least ${least}`);
  };
  const count = (field: string, least: number): number => {
    const value = number(field, least);
    return Number.isSafeInteger(value) ? value : wrong(field, 'a whole number');
  };
  if (row.recording !== RECORDING_VERSION) wrong('recording', `version ${RECORDING_VERSION}`);
  const gaps = row.gaps_ms ?? [];
  if (!Array.isArray(gaps) || !gaps.every((gap) => typeof gap === 'number' && gap >= 0)) {
    wrong('gaps_ms', 'a list of milliseconds');
  }
  const reasons = ['stop', 'length', 'abort', 'rejected'];
  const finishReason = row.finish_reason as FinishReason;
  if (!reasons.includes(finishReason)) wrong('finish_reason', reasons.join(', '));
  return {
    id: String(row.request_id ?? ''),
    model: typeof row.model === 'string' ? row.model : undefined,
    arrivalMs: number('arrival_ms'),
    promptTokens: count('prompt_tokens', 1),
    outputTokens: count('output_tokens', 0),
    cachedTokens: row.cached_tokens === undefined ? 0 : count('cached_tokens', 0),
    priority: typeof row.priority === 'number' ? row.priority : 0,
    lora: typeof row.lora === 'string' ? row.lora : undefined,
    finishReason,
    ttftMs: row.ttft_ms == null ? undefined : number('ttft_ms'),
    gapsMs: gaps as number[],
    prompt: row.prefix === undefined ? undefined : segmentsOf(row, wrong),
    cacheSalt: typeof row.cache_salt === 'string' ? row.cache_salt : undefined,
    promptText: typeof row.prompt === 'string' ? row.prompt : undefined,
  };
}

function segmentsOf(row: Row, wrong: (field: string, expected: string) => never): PromptSegment[] {
  const { prefix } = row;
  const ok =
    Array.isArray(prefix) &&
    prefix.every((part) => Array.isArray(part) && part.length >= 2 && part.every(Number.isFinite));
  if (!ok) return wrong('prefix', 'a list of [content, length]');
  const segments = (prefix as number[][]).map(([content, length, first]) => ({
    content: content!,
    length: length!,
    ...(first !== undefined && { first }),
  }));
  const total = segments.reduce((sum, { length }) => sum + length, 0);
  return total === row.prompt_tokens ? segments : wrong('prefix', 'lengths that add up');
}
