/**
 * Writes a recording while requests end: a tracer of a live server or of a simulation.
 *
 * It keeps the times of tokens of requests under way, and lines of a second at most. Lines are written
 * whole; a `.gz` file grows by gzip members, so a crash costs what was not yet written and no more.
 */

import { closeSync, openSync, writeSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import type { RequestHandle, RequestSpec } from '../core/engine.js';
import { ConfigError } from '../core/errors.js';
import type { RequestOutcome, TokenBatch, Tracer } from '../core/trace/tracer.js';
import { msFromNs, type TimeNs } from '../core/units.js';
import { lineOf, type RecordedRequest } from './recording.js';

const FLUSH_MS = 1000;
const FLUSH_CHARS = 256 * 1024;

export class RecordingFile implements RecordingSink {
  readonly #gzip: boolean;
  #fd: number | undefined;
  #lines = '';
  readonly #timer: NodeJS.Timeout;

  /** @throws {ConfigError} when the file cannot be written */
  constructor(path: string, flag = '--record') {
    this.#gzip = path.endsWith('.gz');
    try {
      this.#fd = openSync(path, 'w');
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      throw new ConfigError(flag, 'a file that can be written', `${path} (${code})`);
    }
    this.#timer = setInterval(() => this.flush(), FLUSH_MS);
    this.#timer.unref();
  }

  write(request: RecordedRequest): void {
    if (this.#fd === undefined) return;
    this.#lines += lineOf(request);
    if (this.#lines.length > FLUSH_CHARS) this.flush();
  }

  flush(): void {
    if (this.#fd === undefined || this.#lines === '') return;
    const bytes = Buffer.from(this.#lines);
    this.#lines = '';
    const packed = this.#gzip ? gzipSync(bytes) : bytes;
    for (let at = 0; at < packed.length; ) at += writeSync(this.#fd, packed, at);
  }

  close(): void {
    if (this.#fd === undefined) return;
    clearInterval(this.#timer);
    this.flush();
    closeSync(this.#fd);
    this.#fd = undefined;
  }
}

/** Where a recording goes: a file, or a caller far away. */
export interface RecordingSink {
  write(request: RecordedRequest): void;
}

/** The texts of prompts under way, by the requests that were made of them. */
export type PromptTexts = WeakMap<RequestSpec, string>;

/** What a recording is told of one engine. */
export class Recorder implements Tracer {
  /** When the tokens of requests under way left. */
  readonly #times = new Map<RequestHandle, TimeNs[]>();

  constructor(
    private readonly sink: RecordingSink,
    private readonly model?: string,
    /** Absent: no text is written. */
    private readonly texts?: PromptTexts,
  ) {}

  readonly tokens = ({ at, count, handles, numTokens }: TokenBatch): void => {
    for (let i = 0; i < count; i++) {
      const handle = handles[i]!;
      let times = this.#times.get(handle);
      if (!times) {
        times = [];
        this.#times.set(handle, times);
      }
      for (let k = 0; k < numTokens[i]!; k++) times.push(at);
    }
  };

  readonly requestFinish = (outcome: RequestOutcome): void => {
    const { handle, spec, arrivedAt } = outcome;
    const times = this.#times.get(handle) ?? [];
    this.#times.delete(handle);
    const [first] = times;
    this.sink.write({
      id: spec.id ?? String(outcome.index),
      model: this.model,
      arrivalMs: msFromNs(arrivedAt),
      promptTokens: spec.promptTokens,
      outputTokens: outcome.outputTokens,
      cachedTokens: outcome.cachedTokens,
      priority: spec.priority ?? 0,
      lora: spec.lora,
      finishReason: outcome.reason,
      ttftMs: first === undefined ? undefined : msFromNs(first - arrivedAt),
      gapsMs: times.slice(1).map((at, i) => msFromNs(at - times[i]!)),
      prompt: spec.prompt,
      cacheSalt: spec.cacheSalt,
      promptText: this.texts?.get(spec),
    });
  };
}
