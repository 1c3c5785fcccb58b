/** Opens recorded traces: the format is recognised from the first line, the rows are `trace-rows.ts`. */

import { ConfigError, closest } from '../core/errors.js';
import type { TraceSource } from '../core/workload/trace-replay.js';
import { LineReader } from './line-reader.js';
import { isRecording, openRecording } from './recording.js';
import { recognise, TRACE_FORMATS, type TraceFormat } from './trace-formats.js';
import { CsvTrace, JsonlTrace, parseObject } from './trace-rows.js';

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
