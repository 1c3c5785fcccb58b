/**
 * Recorded traces as a stream of arrivals: the format is recognised from the first line, rows are read
 * as the simulation pulls them, and the first one is at time 0.
 *
 * A wrong line stops everything with one error that names file, line, field, what was expected and
 * what stands there. A time is kept as whole seconds and nanoseconds: dates in nanoseconds do not fit
 * a double.
 */

import type { PromptSegment, RequestSpec } from '../core/engine.js';
import { ConfigError, closest } from '../core/errors.js';
import { NS_PER_S } from '../core/units.js';
import type { TraceSource } from '../core/workload/trace-replay.js';
import type { Arrival } from '../core/workload/workload.js';
import { LineReader } from './line-reader.js';
import { isRecording, openRecording } from './recording.js';
import { parseDate, parseNumberOf, type Timestamp } from './timestamp.js';
import { recognise, TRACE_FORMATS, type TraceFormat } from './trace-formats.js';

export interface TraceFileOptions {
  readonly path: string;
  /** A name of `TRACE_FORMATS`; absent: recognised. */
  readonly format?: string | undefined;
  /** Tokens per hashed block of a prompt. Default 512, as Mooncake's. */
  readonly blockSize?: number | undefined;
  /** Told what was left out of a recording that a crash cut short. */
  readonly onWarning?: ((text: string) => void) | undefined;
}

/**
 * Opens a trace and recognises its format.
 *
 * @param flag how the user named the file, for errors
 * @throws {ConfigError} when the file is missing, empty or of no known format
 */
export function openTrace(options: TraceFileOptions, flag = '--trace'): TraceSource {
  const { onWarning } = options;
  const recording = () => openRecording(options.path, { flag, ...(onWarning && { onWarning }) });
  if (/\.gz$/.test(options.path)) return recording();
  const wanted = options.format === undefined ? undefined : formatNamed(options.format);
  const lines = new LineReader(options.path, flag);
  const first = firstLine(lines);
  if (first === undefined) {
    lines.close();
    throw new ConfigError(options.path, 'a trace', 'an empty file');
  }
  try {
    if (isRecording(firstRow(first))) {
      lines.close();
      return recording();
    }
    if (first.trimStart().startsWith('{'))
      return openJsonl(lines, first, wanted, options.blockSize);
    return openCsv(lines, first, wanted);
  } catch (error) {
    lines.close();
    throw error;
  }
}

function formatNamed(name: string): TraceFormat {
  const format = TRACE_FORMATS.find((known) => known.name === name);
  if (format) return format;
  const names = TRACE_FORMATS.map((known) => known.name);
  const near = closest(name, names);
  throw new ConfigError(
    '--trace-format',
    `one of ${names.join(', ')}`,
    name,
    near && `Did you mean ${near}?`,
  );
}

function firstRow(line: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(line)) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** The first line with something on it, without a byte order mark. */
function firstLine(lines: LineReader): string | undefined {
  for (let line = lines.next(); line !== undefined; line = lines.next()) {
    const text = line.replace(/^\uFEFF/, '');
    if (text.trim() !== '') return text;
  }
  return undefined;
}

function unknownFormat(lines: LineReader, wanted: TraceFormat | undefined, got: string): never {
  const formats = wanted ? [wanted] : TRACE_FORMATS;
  const hint = formats.map(
    ({ name, fields: f }) => `  ${name}: ${f.time}, ${f.promptTokens}, ${f.outputTokens}`,
  );
  throw new ConfigError(
    `${lines.path}:${lines.lineNumber}`,
    wanted ? `the fields of ${wanted.name}` : 'the fields of a known trace format',
    got.slice(0, 120),
    ['These are read:', ...hint].join('\n'),
  );
}

function openCsv(lines: LineReader, header: string, wanted: TraceFormat | undefined): TraceSource {
  const names = header.split(',').map((name) => name.trim());
  const format = recognise('csv', names);
  if (!format || (wanted && wanted !== format)) return unknownFormat(lines, wanted, header);
  return new CsvTrace(lines, format, names);
}

function openJsonl(
  lines: LineReader,
  first: string,
  wanted: TraceFormat | undefined,
  blockSize = 512,
): TraceSource {
  const names = Object.keys(parseObject(lines, first));
  const format = wanted ?? recognise('jsonl', names);
  if (format?.container !== 'jsonl') return unknownFormat(lines, wanted, first);
  return new JsonlTrace(lines, format, first, blockSize);
}

function parseObject(lines: LineReader, line: string): Record<string, unknown> {
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

class CsvTrace extends TraceRows {
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

class JsonlTrace extends TraceRows {
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
