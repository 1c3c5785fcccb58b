import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { dataPath } from '../../src/config/data-dir.js';
import { listHardware, loadHardware } from '../../src/config/hardware.js';

describe('Hardware by name', () => {
  it('has the eleven GPUs that were asked for, and every name once', () => {
    const names = listHardware().map((gpu) => gpu.name);
    const asked = [
      'H100',
      'A100',
      'L40',
      'RTX4090',
      'A6000',
      'A40',
      'RTX4080',
      'RTX3090',
      'A10',
      'V100',
      'T4',
    ];
    expect(names).toEqual(expect.arrayContaining(asked));
    const all = listHardware()
      .flatMap((gpu) => [gpu.name, ...gpu.aliases])
      .map((name) => name.toLowerCase());
    expect(new Set(all).size).toBe(all.length);
  });

  it.each([
    ['h100', 'H100'],
    ['RTX 4090', 'RTX4090'],
    ['rtx-4090', 'RTX4090'],
    ['A100-SXM4-80GB', 'A100'],
    ['mi300x', 'MI300X'],
  ])('finds %s', (word, name) => {
    expect(loadHardware(word).name).toBe(name);
  });

  it('keeps the data sheet, dense', () => {
    expect(loadHardware('H100')).toMatchObject({
      memoryBytes: 80 * 2 ** 30,
      memoryBytesPerS: 3.35e12,
      peak: { bf16: 989.4e12, fp8: 1978.9e12 },
      link: { kind: 'nvlink', bytesPerS: 450e9 },
    });
    expect(loadHardware('V100').peak.bf16).toBeUndefined();
  });

  it('suggests the closest name', () => {
    expect(() => loadHardware('H10O')).toThrow(
      /--hardware: expected a name of list-hardware.*got "H10O"\ndid you mean H100\?/s,
    );
  });

  it("reads a user's data sheet, checked field by field", () => {
    const folder = mkdtempSync(join(tmpdir(), 'gpu-'));
    const own = JSON.parse(
      readFileSync(dataPath('perf_model', 'gpus', 'h100.json'), 'utf8'),
    ) as Record<string, unknown>;
    const write = (name: string, change: object): string => {
      writeFileSync(join(folder, name), JSON.stringify({ ...own, ...change }));
      return join(folder, name);
    };
    expect(loadHardware(write('x.json', { name: 'X1' })).name).toBe('X1');
    expect(() => loadHardware(write('y.json', { memory_bytes: '80GB' }))).toThrow(
      /y\.json: memory_bytes: expected a number/,
    );
    expect(() => loadHardware(write('z.json', { bandwidth: 3 }))).toThrow(
      /z\.json: bandwidth: expected one of the fields name, aliases/,
    );
  });
});
