import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Arrival } from '../../src/core/workload/workload.js';
import { openTrace, type TraceFileOptions } from '../../src/files/trace-reader.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'trace-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function open(text: string, options: Partial<TraceFileOptions> = {}) {
  const path = join(folder, 'trace');
  writeFileSync(path, text);
  return openTrace({ path, ...options });
}

function read(text: string, options: Partial<TraceFileOptions> = {}): Arrival[] {
  const source = open(text, options);
  const rows: Arrival[] = [];
  for (let row = source.next(); row; row = source.next()) rows.push(row);
  return rows;
}

/** The error of reading `text`, with the folder cut away. */
function refusal(text: string, options: Partial<TraceFileOptions> = {}): string {
  try {
    read(text, options);
  } catch (error) {
    return (error as Error).message.replaceAll(`${folder}/`, '');
  }
  return 'no error';
}

const row = (at: number, promptTokens: number, maxTokens: number): Arrival => ({
  at,
  spec: { promptTokens, maxTokens },
});

describe('Azure trace', () => {
  it('reads the form of 2023, to 100 ns, from the first row on', () => {
    const text = [
      'TIMESTAMP,ContextTokens,GeneratedTokens',
      '2023-11-16 23:59:59.9799600,4808,10',
      '2023-11-17 00:00:00.0319601,3180,8',
      '',
    ].join('\r\n');
    expect(read(text)).toEqual([row(0, 4808, 10), row(52_000_100, 3180, 8)]);
  });

  it('reads the form of 2024, with a zone', () => {
    const text = [
      'TIMESTAMP,ContextTokens,GeneratedTokens',
      '2024-05-10 00:00:00.009930+00:00,2162,5',
      '2024-05-10 00:00:01.017335+00:00,2399,6',
    ].join('\n');
    expect(read(text)).toEqual([row(0, 2162, 5), row(1_007_405_000, 2399, 6)]);
  });

  it('takes columns by name, in any order and case', () => {
    const text = 'generatedtokens,timestamp,Extra,contexttokens\n7,2023-11-16 18:17:03,x,9\n';
    expect(read(text)).toEqual([row(0, 9, 7)]);
  });
});

describe('BurstGPT trace', () => {
  it('leaves out requests that failed', () => {
    const text = [
      'Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type',
      '5,ChatGPT,472,18,490,Conversation log',
      '45,ChatGPT,1087,0,1087,Conversation log',
      '118.5,GPT-4,417,276,693,API log',
    ].join('\n');
    expect(read(text)).toEqual([row(0, 472, 18), row(113_500_000_000, 417, 276)]);
  });
});

describe('a timed trace of vLLM', () => {
  it('counts in seconds, with blocks of its own size', () => {
    const text = [
      '{"timestamp": 1.5, "input_length": 20, "output_length": 5, "hash_ids": [3, 4]}',
      '{"timestamp": 2, "input_length": 16, "output_length": 6, "hash_ids": [3]}',
    ].join('\n');
    const block = (first: number, length: number) => ({ content: 0, first, length });
    expect(read(text, { format: 'vllm-timed', blockSize: 16 })).toEqual([
      { at: 0, spec: { promptTokens: 20, maxTokens: 5, prompt: [block(48, 20)] } },
      { at: 500_000_000, spec: { promptTokens: 16, maxTokens: 6, prompt: [block(48, 16)] } },
    ]);
  });
});

describe('Mooncake trace', () => {
  it('names shared blocks, runs of ids as one stretch', () => {
    const text = [
      '{"timestamp": 1000, "input_length": 1100, "output_length": 5, "hash_ids": [0, 14, 15]}',
      '{"timestamp": 1027, "input_length": 513, "output_length": 6, "hash_ids": [0, 16]}',
    ].join('\n');
    expect(read(text)).toEqual([
      {
        at: 0,
        spec: {
          promptTokens: 1100,
          maxTokens: 5,
          prompt: [
            { content: 0, first: 0, length: 512 },
            { content: 0, first: 14 * 512, length: 588 },
          ],
        },
      },
      {
        at: 27e6,
        spec: {
          promptTokens: 513,
          maxTokens: 6,
          prompt: [
            { content: 0, first: 0, length: 512 },
            { content: 0, first: 16 * 512, length: 1 },
          ],
        },
      },
    ]);
  });

  it('refuses a block size that does not fit the hashes', () => {
    const text =
      '{"timestamp": 0, "input_length": 1100, "output_length": 5, "hash_ids": [0, 1, 2]}';
    expect(refusal(text, { blockSize: 16 })).toBe(
      'trace:1: hash_ids: expected 69 blocks of 16 tokens (--trace-block-size), got 3',
    );
  });
});

describe('other traces', () => {
  it("reads the original's data sets", () => {
    const text =
      '{"input_toks":4,"output_toks":12,"arrival_time_ns":570907776,"input_tok_ids":[1,1]}\n' +
      '{"input_toks":6,"output_toks":2,"arrival_time_ns":570907779}\n';
    expect(read(text)).toEqual([row(0, 4, 12), row(3, 6, 2)]);
  });

  it("reads vidur's seconds and its own rows, ids included", () => {
    expect(read('arrived_at,num_prefill_tokens,num_decode_tokens\n0.5,10,2\n1.75,11,3\n')).toEqual([
      row(0, 10, 2),
      row(1.25e9, 11, 3),
    ]);
    expect(
      read('{"request_id":"a","arrival_ms":0.25,"prompt_tokens":3,"output_tokens":1}'),
    ).toEqual([{ at: 0, spec: { id: 'a', promptTokens: 3, maxTokens: 1 } }]);
  });

  it('reads files larger than one chunk without losing a line', () => {
    const lines = Array.from({ length: 30_000 }, (_, i) => `${i / 8},${i + 1},${(i % 7) + 1}`);
    const rows = read(['arrived_at,num_prefill_tokens,num_decode_tokens', ...lines].join('\n'));
    expect(rows).toEqual(lines.map((_, i) => row(i * 125e6, i + 1, (i % 7) + 1)));
  });
});

describe('a wrong trace', () => {
  const header = 'TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.97,4808,10\n';

  it.each([
    [
      `${header}2023-11-16 18:17:04.1,many,10`,
      'trace:3: ContextTokens: expected a whole number of tokens, at least 1, got "many"',
    ],
    [
      `${header}2023-11-16 18:17:04.1,5,0`,
      'trace:3: GeneratedTokens: expected a whole number of tokens, at least 1, got "0"',
    ],
    [
      `${header}\nyesterday,5,10`,
      'trace:4: TIMESTAMP: expected a time like 2023-11-16 18:15:46.6805900, got "yesterday"',
    ],
    [
      `${header}2023-11-16 18:17:03.96,5,10`,
      'trace:3: TIMESTAMP: expected a time not before that of the row above (sort the file), got "2023-11-16 18:17:03.96"',
    ],
    [`${header}a,b`, 'trace:3: columns: expected 3 of them, as in the header, got 2'],
    [
      'TIMESTAMP,ContextTokens,GeneratedTokens\n',
      'trace: expected rows below the header, got "none"',
    ],
    ['', 'trace: expected a trace, got "an empty file"'],
    ['\n\n', 'trace: expected a trace, got "an empty file"'],
    ['{"timestamp": 0,', 'trace:1: expected a JSON object, got "{\\"timestamp\\": 0,"'],
    [
      '{"timestamp":0,"input_length":5,"output_length":1}\n{"timestamp":1,"input_length":5}',
      'trace:2: output_length: expected a whole number of tokens, at least 1, got nothing',
    ],
  ])('names file, line and field: %j', (text, message) => {
    expect(refusal(text)).toBe(message);
  });

  it('lists what is read when it knows no such fields', () => {
    expect(refusal('a,b,c\n1,2,3')).toMatch(
      /^trace:1: expected the fields of a known trace format, got "a,b,c"\n/,
    );
    expect(refusal('{"a":1}', { format: 'mooncake' })).toMatch(/^trace:1: timestamp: expected/);
    expect(refusal(header, { format: 'mooncke' })).toContain('Did you mean mooncake?');
  });

  it('is missing, or a folder', () => {
    expect(() => openTrace({ path: join(folder, 'none.csv') })).toThrow(
      /^--trace: expected a readable file, got "no such file: .*none.csv"$/,
    );
    expect(() => openTrace({ path: folder })).toThrow(/expected a readable file, got "a directory/);
  });
});
