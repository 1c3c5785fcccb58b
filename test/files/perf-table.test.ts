/** Files of measured times: the own format, and what other profilers write. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadModel } from '../../src/config/models.js';
import type { OperatorId, PerfTable } from '../../src/core/perf/table/perf-table.js';
import { openImport } from '../../src/files/perf-imports/index.js';
import { perfTableText, readPerfTable } from '../../src/files/perf-table.js';

const folder = mkdtempSync(join(tmpdir(), 'perf-table-'));
afterAll(() => rmSync(folder, { recursive: true }));

const FIXTURES = 'test/fixtures/perf-tables';
const QWEN = loadModel('qwen/Qwen3-8B');

const META = [
  '# llmservingsim perf table 1',
  '# model: qwen/Qwen3-8B',
  '# hardware: H100',
  '# tensor_parallel_size: 1',
  '# dtype: bfloat16',
  '# quantization: none',
  '# kv_cache_dtype: auto',
  '# engine: vllm 1.0',
  '# source: a test',
];
const HEADER =
  'operator,tokens,sequences,bytes,experts,prefill_tokens,num_decodes,prefill_history,decode_context,time_us';
const QKV = 'qkv_projection,1,,,,,,,,30';
const ATTENTION = 'attention,,,,,0,8,0,1024,50';

const fileOf = (...lines: string[]): string => {
  const path = join(folder, 't.csv');
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
};
const read = (...rows: string[]): PerfTable =>
  readPerfTable(fileOf(...META, HEADER, ...rows), '--x');

/** `[...at, µs]` of each point. */
const pointsOf = (operators: PerfTable['operators'], id: OperatorId): number[][] =>
  (operators.get(id) ?? []).map(({ at, seconds }) => [...at, Number((seconds * 1e6).toFixed(6))]);

describe('the file of a measured table', () => {
  it('says what was measured, and has each point', () => {
    const { meta, operators } = read(QKV, ATTENTION);
    expect(meta).toEqual({
      model: 'qwen/Qwen3-8B',
      hardware: 'H100',
      tensorParallelSize: 1,
      dtype: 'bfloat16',
      quantization: 'none',
      kvCacheDtype: 'auto',
      engine: 'vllm 1.0',
      source: 'a test',
    });
    expect(pointsOf(operators, 'qkv_projection')).toEqual([[1, 30]]);
    expect(pointsOf(operators, 'attention')).toEqual([[0, 8, 0, 1024, 50]]);
  });

  it('is written as it is read', () => {
    const text = [...META, HEADER, QKV, 'qkv_projection,2.5,,,,,,,,31.25', ATTENTION, ''].join(
      '\n',
    );
    expect(perfTableText(readPerfTable(fileOf(text.trimEnd()), '--x'))).toBe(text);
  });

  it.each([
    [
      'another title',
      [HEADER],
      /t\.csv:1: expected the line # llmservingsim perf table 1, .*\nOther formats/,
    ],
    [
      'an unknown field',
      [...META, '# speed: fast', HEADER, QKV],
      /t\.csv:10: expected one of model, .* got "speed"/,
    ],
    [
      'a missing field',
      [...META.slice(0, -1), HEADER, QKV],
      /t\.csv: source: expected a line "# source: \.\.\."/,
    ],
    [
      'a size that is none',
      [META[0]!, '# tensor_parallel_size: two', ...META.slice(1, 3), ...META.slice(4), HEADER, QKV],
      /t\.csv:2: tensor_parallel_size: expected a whole number/,
    ],
    [
      'a missing column',
      [...META, 'operator,tokens', 'x,1'],
      /t\.csv: sequences: expected the columns operator,tokens,/,
    ],
    ['no rows', [...META, HEADER], /t\.csv: expected rows below the header, got "none"/],
  ])('refuses %s', (_, lines, message) => {
    expect(() => readPerfTable(fileOf(...lines), '--x')).toThrow(message);
  });

  it.each([
    [
      'an unknown operator',
      [QKV, 'qkv_proj,1,,,,,,,,30'],
      /t\.csv:12: operator: expected one of qkv_projection, .* got "qkv_proj \(qkv_projection\?\)"/,
    ],
    [
      'a row of too few cells',
      ['qkv_projection,1'],
      /t\.csv:11: expected 10 values, as in the header, got 2/,
    ],
    ['an axis left empty', ['qkv_projection,,,,,,,,,30'], /t\.csv:11: tokens: expected a number/],
    [
      'an axis of another operator',
      ['qkv_projection,1,2,,,,,,,30'],
      /t\.csv:11: sequences: expected nothing: qkv_projection depends on tokens, got "2"/,
    ],
    [
      'no tokens',
      ['qkv_projection,0,,,,,,,,30'],
      /t\.csv:11: tokens: expected a number above 0, got 0/,
    ],
    [
      'no time',
      ['qkv_projection,1,,,,,,,,0'],
      /t\.csv:11: time_us: expected microseconds above 0, got 0/,
    ],
    [
      'a text for a time',
      ['qkv_projection,1,,,,,,,,fast'],
      /t\.csv:11: time_us: expected a number, got "fast"/,
    ],
    [
      'a point twice',
      [QKV, QKV],
      /t\.csv:12: expected each point once, got "the point of .*t\.csv:11 again"/,
    ],
    [
      'an empty step',
      ['attention,,,,,0,0,0,0,5'],
      /t\.csv:11: prefill_tokens: expected a prompt token or a decode/,
    ],
    [
      'decodes of nothing',
      ['attention,,,,,0,2,0,0,5'],
      /t\.csv:11: decode_context: expected at least 1 with decodes/,
    ],
    [
      'context without decodes',
      ['attention,,,,,9,0,0,7,5'],
      /decode_context: expected 0 without decodes, got 7/,
    ],
    [
      'half a context',
      ['attention,,,,,0,2,0,7.5,5'],
      /decode_context: expected a whole number of at least 0, got 7.5/,
    ],
    [
      'history without a prompt',
      ['attention,,,,,0,2,3,7,5'],
      /prefill_history: expected 0 without prompt tokens/,
    ],
    [
      'steps beside operators',
      [QKV, 'step,,,,,0,8,0,1024,50'],
      /expected whole steps alone, or operators/,
    ],
  ])('refuses %s by its line', (_, rows, message) => {
    expect(() => read(...rows)).toThrow(message);
  });

  it('is named when it is not there', () => {
    expect(() => readPerfTable('nowhere.csv', '--perf-table')).toThrow(
      /^--perf-table: expected a readable file, got "no such file: nowhere.csv"/,
    );
  });
});

describe('LLMServingSim bundles', () => {
  const { files, format } = openImport([`${FIXTURES}/llmservingsim/H100`], undefined);
  const [one, two] = format.read(files, QWEN);

  it('are recognised, and say what was measured', () => {
    expect(format.name).toBe('llmservingsim');
    expect(format.said(files)).toEqual({
      model: 'qwen/Qwen3-8B',
      hardware: 'H100',
      dtype: 'bfloat16',
      quantization: 'none',
      kvCacheDtype: 'auto',
      engine: 'vllm 0.19.0',
    });
  });

  it('give matrices as they are, and the kernels of a layer and of a step as sums', () => {
    expect(pointsOf(one!.operators, 'qkv_projection')).toEqual([
      [1, 30],
      [1024, 160],
    ]);
    // Two norms, rotary, query and key norms, activation.
    expect(pointsOf(one!.operators, 'elementwise')).toEqual([
      [1, 2 * 3 + 2 + 4 + 2],
      [1024, 70],
    ]);
    expect(pointsOf(one!.operators, 'embedding')).toEqual([
      [1, 5],
      [1024, 10],
    ]);
    expect(pointsOf(one!.operators, 'lm_head')).toEqual([
      [1, 500],
      [256, 600],
    ]);
    expect(pointsOf(one!.operators, 'sampling')).toEqual([
      [1, 20],
      [256, 90],
    ]);
    expect(one!.leftOut).toEqual([]);
  });

  it('order attention by prompt, decodes, history, context', () => {
    expect(pointsOf(one!.operators, 'attention').at(-1)).toEqual([512, 0, 1024, 0, 80]);
    expect(pointsOf(one!.operators, 'attention')[5]).toEqual([512, 64, 0, 1024, 170]);
  });

  it('take from one GPU what several do not split', () => {
    expect([one!.tensorParallelSize, two!.tensorParallelSize]).toEqual([1, 2]);
    expect(pointsOf(two!.operators, 'qkv_projection')).toEqual([
      [1, 18],
      [1024, 90],
    ]);
    expect(pointsOf(two!.operators, 'elementwise')).toEqual([
      [1, 14],
      [1024, 56],
    ]);
  });
});

describe('Vidur profiles', () => {
  const { files, format } = openImport(
    [`${FIXTURES}/vidur/compute/h100/qwen/Qwen3-8B`, `${FIXTURES}/vidur/network/h100_dgx`],
    undefined,
  );
  const [one, two] = format.read(files, QWEN);

  it('are recognised, and their folders say what was measured', () => {
    expect([format.name, format.said(files)]).toEqual([
      'vidur',
      { model: 'qwen/Qwen3-8B', hardware: 'h100', dtype: 'float16' },
    ]);
  });

  it('give medians, and two residual additions a layer', () => {
    expect(pointsOf(one!.operators, 'gate_up_projection')).toEqual([
      [1, 100],
      [1024, 500],
    ]);
    expect(pointsOf(one!.operators, 'elementwise')).toEqual([
      [1, 12],
      [1024, 66],
    ]);
    expect(pointsOf(one!.operators, 'embedding')).toEqual([
      [1, 2],
      [1024, 6],
    ]);
  });

  it('count the newest token, and leave out several prompts at once', () => {
    expect(pointsOf(one!.operators, 'attention')).toEqual([
      [0, 1, 0, 1024, 14],
      [0, 64, 0, 1024, 125],
      [512, 0, 0, 0, 48],
    ]);
    expect(one!.leftOut).toEqual(['1 rows of attention with several prompts']);
  });

  it('take the all-reduce of as many GPUs within one node', () => {
    expect(two!.tensorParallelSize).toBe(2);
    expect(pointsOf(two!.operators, 'all_reduce')).toEqual([
      [8192, 25],
      [8388608, 200],
    ]);
    expect(one!.operators.has('all_reduce')).toBe(false);
  });

  it('are refused for a model of other sizes, by line and column', () => {
    expect(() => format.read(files, loadModel('qwen/Qwen3-32B'))).toThrow(
      /mlp\.csv:2: n_head: expected 64, as qwen\/Qwen3-32B has it, got 32|mlp\.csv:2: n_embd: expected 5120/,
    );
  });
});

describe('step times', () => {
  it('are points of whole steps, the median where one repeats', () => {
    const { files, format } = openImport([`${FIXTURES}/steps`], undefined);
    const [table] = format.read(files, QWEN);
    expect([format.name, table!.tensorParallelSize]).toEqual(['steps', undefined]);
    expect(pointsOf(table!.operators, 'step')).toEqual([
      [0, 1, 0, 1024, 8000],
      [0, 32, 0, 1024, 11_000],
      [0, 32, 0, 4096, 20_000],
      [512, 32, 0, 1024, 30_000],
    ]);
  });

  it('may be what calibrate observes: a sum of contexts, and duration_ms', () => {
    const path = fileOf('num_decodes,context_tokens,prefill_tokens,duration_ms', '4,4002,0,9');
    const { files, format } = openImport([path], undefined);
    expect(pointsOf(format.read(files, QWEN)[0]!.operators, 'step')).toEqual([
      [0, 4, 0, 1001, 9000],
    ]);
  });

  it('are refused by line and field', () => {
    const path = fileOf(
      'prefill_tokens,num_decodes,decode_context,step_ms',
      '0,4,100,9',
      '0,4,0,9',
    );
    const { files, format } = openImport([path], undefined);
    expect(() => format.read(files, QWEN)).toThrow(
      /t\.csv:3: decode_context: expected at least 1 with decodes, got 0/,
    );
  });
});

describe('what is imported', () => {
  it('is refused with the forms there are when it is none of them', () => {
    const path = fileOf('a,b', '1,2');
    expect(() => openImport([path], undefined)).toThrow(
      /--import: expected one of the formats llmservingsim, vidur, steps, got .*\n {2}llmservingsim +a profile bundle/,
    );
    expect(() => openImport([path], 'dynosim')).toThrow(
      /--format: expected llmservingsim, vidur, steps, got "dynosim"/,
    );
    expect(() => openImport(['nowhere'], undefined)).toThrow(
      /--import: expected a file or a folder/,
    );
  });
});
