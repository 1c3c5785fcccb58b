/**
 * The rows of a recorded trace as a stream of arrivals: read as the simulation pulls them, the first one
 * at time 0.
 *
 * A wrong line stops everything with one error that names file, line, field, what was expected and
 * what stands there. A time is kept as whole seconds and nanoseconds: dates in nanoseconds do not fit
 * a double.
 */

import type { PromptSegment, RequestSpec } from '../core/engine.js';
import { ConfigError } from '../core/errors.js';
import { NS_PER_S } from '../core/units.js';
import type { TraceSource } from '../core/workload/trace-replay.js';
import type { Arrival } from '../core/workload/workload.js';
import type { LineReader } from './line-reader.js';
import { parseDate, parseNumberOf, type Timestamp } from './timestamp.js';
import type { TraceFormat } from './trace-formats.js';

/** What all rows share: field errors, and times that count from the first row. */
abstract class TraceRows implements TraceSource {
  #origin: Timestamp | undefined;
  #last = 0;

  constructor(
    protected readonly lines: LineReader,
    protected readonly format: TraceFormat,
  ) {}

  abstract next(): Arrival | undefined;

  close(): void {
    this.lines.close();
  }

  /** The next line that says something. */
  protected line(): string | undefined {
    for (;;) {
      const line = this.lines.next();
      if (line === undefined || line.trim() !== '') return line;
    }
  }

  protected wrong(field: string, expected: string, got: unknown): never {
    const { path, lineNumber } = this.lines;
    this.lines.close();
    throw new ConfigError(`${path}:${lineNumber}: ${field}`, expected, got);
  }

  /** There are no more rows; there must have been some. */
  protected end(): undefined {
    if (!this.#origin) throw new ConfigError(this.lines.path, 'rows below the header', 'none');
    return undefined;
  }

  /** Nanoseconds since the first row. */
  protected time(value: unknown): number {
    const { fields, timeUnit } = this.format;
    const stamp = timeUnit === 'date' ? parseDate(value) : parseNumberOf(timeUnit, value);
    if (!stamp) {
      const date = timeUnit === 'date';
      return this.wrong(
        fields.time,
        date ? 'a time like 2023-11-16 18:15:46.6805900' : `a number of ${timeUnit}`,
        value,
      );
    }
    this.#origin ??= stamp;
    const at = (stamp.seconds - this.#origin.seconds) * NS_PER_S + (stamp.ns - this.#origin.ns);
    if (at < this.#last) {
      this.wrong(fields.time, 'a time not before that of the row above (sort the file)', value);
    }
    this.#last = at;
    return at;
  }

  /** A number of tokens: whole, at least 1. CSV gives text, JSON a number. */
  protected tokens(field: string, value: unknown): number {
    const text = typeof value === 'string' && value.trim() !== '';
    const count = text ? Number(value) : value;
    if (typeof count === 'number' && Number.isSafeInteger(count) && count >= 1) return count;
    return this.wrong(field, 'a whole number of tokens, at least 1', value);
  }
}

export class CsvTrace extends TraceRows {
  readonly #numColumns: number;
  readonly #time: number;
  readonly #prompt: number;
  readonly #output: number;
  readonly #id: number;
  readonly #lora: number;

  constructor(lines: LineReader, format: TraceFormat, names: readonly string[]) {
    super(lines, format);
    const folded = names.map((name) => name.toLowerCase());
    const column = (name: string) => folded.indexOf(name.toLowerCase());
    this.#numColumns = names.length;
    this.#time = column(format.fields.time);
    this.#prompt = column(format.fields.promptTokens);
    this.#output = column(format.fields.outputTokens);
    this.#id = format.fields.id === undefined ? -1 : column(format.fields.id);
    this.#lora = format.fields.lora === undefined ? -1 : column(format.fields.lora);
  }

  next(): Arrival | undefined {
    for (;;) {
      const line = this.line();
      if (line === undefined) return this.end();
      const cells = line.split(',');
      const failed = this.format.skipsEmpty && /^\s*0\s*$/.test(cells[this.#output] ?? '');
      if (!failed) return this.#row(cells);
    }
  }

  #row(cells: readonly string[]): Arrival {
    const { fields } = this.format;
    if (cells.length !== this.#numColumns) {
      this.wrong('columns', `${this.#numColumns} of them, as in the header`, cells.length);
    }
    const at = this.time(cells[this.#time]);
    const promptTokens = this.tokens(fields.promptTokens, cells[this.#prompt]);
    const maxTokens = this.tokens(fields.outputTokens, cells[this.#output]);
    const id = cells[this.#id];
    const spec: Mutable<RequestSpec> = id
      ? { id, promptTokens, maxTokens }
      : { promptTokens, maxTokens };
    const lora = cells[this.#lora];
    if (lora) spec.lora = lora;
    return { at, spec };
  }
}

export class JsonlTrace extends TraceRows {
  #first: string | undefined;
  readonly #blockSize: number;

  constructor(lines: LineReader, format: TraceFormat, first: string, blockSize: number) {
    super(lines, format);
    this.#first = first;
    this.#blockSize = blockSize;
  }

  next(): Arrival | undefined {
    const line = this.#first ?? this.line();
    this.#first = undefined;
    if (line === undefined) return undefined;
    const row = parseObject(this.lines, line);
    const { fields } = this.format;
    const at = this.time(row[fields.time]);
    const promptTokens = this.tokens(fields.promptTokens, row[fields.promptTokens]);
    const maxTokens = this.tokens(fields.outputTokens, row[fields.outputTokens]);
    const spec: Mutable<RequestSpec> = { promptTokens, maxTokens };
    const id = fields.id && row[fields.id];
    if (id !== undefined) spec.id = String(id);
    const lora = fields.lora && row[fields.lora];
    if (lora != null && lora !== '') spec.lora = String(lora);
    const hashIds = fields.hashIds && row[fields.hashIds];
    if (hashIds !== undefined) spec.prompt = this.#segments(hashIds, promptTokens);
    return { at, spec };
  }

  /**
   * A prompt as stretches of one long sequence in which block `id` stands at `id · blockSize`: runs of
   * consecutive ids, which is what new content looks like, become one segment.
   */
  #segments(hashIds: unknown, promptTokens: number): readonly PromptSegment[] {
    const field = this.format.fields.hashIds!;
    if (!Array.isArray(hashIds) || !hashIds.every((id) => Number.isSafeInteger(id) && id >= 0)) {
      return this.wrong(field, 'a list of whole numbers', hashIds);
    }
    const size = this.#blockSize;
    const numBlocks = Math.ceil(promptTokens / size);
    if (hashIds.length !== numBlocks) {
      this.wrong(
        field,
        `${numBlocks} blocks of ${size} tokens (--trace-block-size)`,
        hashIds.length,
      );
    }
    const segments: { content: number; first: number; length: number }[] = [];
    let numLeft = promptTokens;
    for (const id of hashIds as number[]) {
      const length = Math.min(size, numLeft);
      const last = segments.at(-1);
      if (last && last.first + last.length === id * size) last.length += length;
      else segments.push({ content: 0, first: id * size, length });
      numLeft -= length;
    }
    return segments;
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** @throws {ConfigError} for a line that is not an object */
export function parseObject(lines: LineReader, line: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    value = undefined;
  }
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new ConfigError(`${lines.path}:${lines.lineNumber}`, 'a JSON object', line.slice(0, 80));
}
