/**
 * A data set downloaded from Hugging Face: a file (Parquet, JSON Lines, JSON, CSV) or a
 * folder with such files. Which column holds the prompt is found by its name; conversations give their
 * first turn.
 */

import { readdirSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { ConfigError } from '../../core/errors.js';
import { type Dataset, type DatasetOptions, pathOf, type Sample, shuffled } from './dataset.js';
import { parseJson, type Row, readCsv, readJsonl, readText } from './files.js';
import { readParquet } from './parquet.js';

const DEFAULT_OUTPUT_LEN = 128;
/** First match wins. */
const PROMPT_COLUMNS = [
  ...['prompt', 'question', 'problem', 'instruction', 'input', 'query', 'text'],
  ...['turns', 'messages', 'conversations', 'conversation'],
];
const ANSWER_COLUMNS = ['answer', 'solution', 'output', 'response', 'completion'];
const TYPES = ['.parquet', '.jsonl', '.json', '.csv'];

export const hf: Dataset = {
  name: 'hf',
  about: 'a data set from Hugging Face, downloaded (Parquet, JSON Lines, JSON or CSV)',
  async load(options) {
    const path = pathOf(options, 'a downloaded data set: a file or a folder');
    const rows: Row[] = [];
    for (const file of filesOf(path, options.split)) {
      for (const row of await readRows(file, options)) rows.push(row);
    }
    const column = columnOf(rows[0], options, path);
    const samples = rows
      .map((row) => sampleOf(row, column, options))
      .filter((s) => s !== undefined);
    return options.shuffle ? shuffled(samples, options.seed, 'hf') : samples;
  },
};

function filesOf(path: string, split: string | undefined): string[] {
  const hint = 'Download it first: huggingface-cli download --repo-type dataset ...';
  let isFolder: boolean;
  try {
    isFolder = statSync(path).isDirectory();
  } catch {
    throw new ConfigError('--dataset-path', 'a file or folder on this machine', path, hint);
  }
  const all = isFolder
    ? readdirSync(path, { recursive: true }).map((f) => join(path, String(f)))
    : [path];
  const files = all
    .filter(
      (file) => TYPES.includes(extname(file)) && (!isFolder || !split || file.includes(split)),
    )
    .sort();
  if (files.length > 0) return files;
  throw new ConfigError('--dataset-path', `a file of type ${TYPES.join(', ')}`, path);
}

async function readRows(file: string, { column }: DatasetOptions): Promise<Row[]> {
  if (extname(file) === '.parquet') {
    return readParquet(file, [...(column ? [column] : PROMPT_COLUMNS), ...ANSWER_COLUMNS]);
  }
  if (extname(file) === '.csv') return readCsv(file);
  const text = extname(file) === '.json' ? readText(file).trimStart() : '';
  if (text.startsWith('[')) return parseJson(text, file) as Row[];
  return readJsonl(file).map(({ row }) => row as Row);
}

function columnOf(row: Row | undefined, { column }: DatasetOptions, path: string): string {
  const names = Object.keys(row ?? {});
  const found = column ?? PROMPT_COLUMNS.find((name) => names.includes(name));
  if (found !== undefined && names.includes(found)) return found;
  throw new ConfigError(
    path,
    column ?? `a column named ${PROMPT_COLUMNS.join(', ')}`,
    names.join(', '),
  );
}

function sampleOf(row: Row, column: string, options: DatasetOptions): Sample | undefined {
  const prompt = textOf(row[column]);
  if (prompt === undefined || prompt === '') return undefined;
  const answer = ANSWER_COLUMNS.map((name) => row[name]).find((text) => typeof text === 'string');
  const { tokenizer, outputLen } = options;
  return {
    prompt,
    promptTokens: tokenizer.count(prompt),
    maxTokens:
      outputLen ??
      (typeof answer === 'string' ? Math.max(1, tokenizer.count(answer)) : DEFAULT_OUTPUT_LEN),
  };
}

/** A text, or the first turn of a conversation in any common form. */
function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return textOf(value[0]);
  const { content, value: said } = (value ?? {}) as Row;
  return typeof content === 'string' ? content : typeof said === 'string' ? said : undefined;
}
