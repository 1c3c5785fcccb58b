import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DatasetOptions } from '../../src/bench/datasets/dataset.js';
import { hf } from '../../src/bench/datasets/hf.js';
import { readParquet } from '../../src/bench/datasets/parquet.js';
import { tokenizerFor } from '../../src/text/index.js';

let folder: string;
let options: DatasetOptions;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parquet-'));
  const { tokenizer } = await tokenizerFor('gpt-4');
  options = {
    seed: 0,
    numPrompts: 3,
    tokenizer,
    prompts: 'text',
    shuffle: false,
    oversample: true,
  };
});
afterAll(() => rmSync(folder, { recursive: true }));

const QUESTIONS = ['What is a prefix cache?', 'Why is decoding slow?', 'Name a GPU.'];
const ANSWERS = ['A store of computed keys and values.', 'It reads all weights.', 'H100'];

function file(name: string, columns: Record<string, unknown[]>, gzip = false): string {
  const path = join(folder, name);
  const columnData = Object.entries(columns).map(([column, data]) => ({ name: column, data }));
  const codec = gzip
    ? ({ codec: 'GZIP', compressors: { GZIP: (bytes: Uint8Array) => gzipSync(bytes) } } as const)
    : {};
  writeFileSync(path, Buffer.from(parquetWriteBuffer({ columnData, ...codec })));
  return path;
}

describe('hf, from Parquet', () => {
  it.each([false, true])('reads prompts and answers (compressed by gzip: %s)', async (gzip) => {
    const path = file(`qa-${gzip}.parquet`, { question: QUESTIONS, answer: ANSWERS }, gzip);
    const samples = await hf.load({ ...options, path });
    expect(samples.map(({ prompt }) => prompt)).toEqual(QUESTIONS);
    expect(samples.map(({ maxTokens }) => maxTokens)).toEqual(
      ANSWERS.map((answer) => options.tokenizer.count(answer)),
    );
  });

  it('reads the files of a split in a folder, in order', async () => {
    file('train-00000.parquet', { prompt: ['a', 'b'] });
    file('train-00001.parquet', { prompt: ['c'] });
    file('test-00000.parquet', { prompt: ['d'] });
    const samples = await hf.load({ ...options, path: folder, split: 'train' });
    expect(samples.map(({ prompt }) => prompt)).toEqual(['a', 'b', 'c']);
  });

  it('takes the column it is told, and names those there are', async () => {
    const path = file('other.parquet', { docid: [1, 2], passage: ['x', 'y'] });
    const samples = await hf.load({ ...options, path, column: 'passage' });
    expect(samples.map(({ prompt }) => prompt)).toEqual(['x', 'y']);
    await expect(hf.load({ ...options, path })).rejects.toThrow(/got "docid, passage"/);
    await expect(hf.load({ ...options, path, column: 'nope' })).rejects.toThrow(
      /other.parquet: expected nope, got "docid, passage"/,
    );
  });

  it('refuses a file that is damaged, cut or none', async () => {
    const path = file('cut.parquet', { prompt: ['a'] });
    writeFileSync(path, Buffer.from('PAR1 and nothing else'));
    await expect(hf.load({ ...options, path })).rejects.toThrow(
      /cut.parquet: expected a Parquet file, got .* Download it again/s,
    );
    await expect(readParquet(join(folder, 'absent.parquet'), ['prompt'])).rejects.toThrow(
      /--dataset-path/,
    );
  });

  it('says what to install where the reader is absent', async () => {
    const absent = async () => undefined;
    await expect(readParquet('any.parquet', ['prompt'], absent)).rejects.toThrow(
      'npm install hyparquet hyparquet-compressors',
    );
  });
});
