import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readAcceptance } from '../../src/files/acceptance-file.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'acceptance-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function read(name: string, text: string): number[][] {
  const path = join(folder, name);
  writeFileSync(path, text);
  return readAcceptance(path, '--speculative-config: acceptance');
}

describe('recorded acceptance', () => {
  it('is a list of counts, or one for each request', () => {
    expect(read('a.json', '[2, 0, 3]')).toEqual([[2, 0, 3]]);
    expect(read('b.json', '[[2, 0], [3]]')).toEqual([[2, 0], [3]]);
    expect(read('c.jsonl', '{"accepted": [2, 0], "id": 7}\n\n[3]\n')).toEqual([[2, 0], [3]]);
  });

  it.each<[string, string, RegExp]>([
    ['a.json', '[2, 0.5]', /a\.json: \[1\]: expected a whole number from 0 to 255, got 0\.5$/],
    [
      'a.json',
      '[[2], [1, -1]]',
      /a\.json: \[1\]\[1\]: expected a whole number from 0 to 255, got -1$/,
    ],
    [
      'a.json',
      '{"accepted": 1}',
      /a\.json: expected a list of accepted drafts, got \{"accepted":1\}$/,
    ],
    ['a.json', '[]', /a\.json: expected accepted drafts of at least one verification, got "none"$/],
    ['a.json', '[2', /a\.json: expected JSON, got/],
    [
      'b.jsonl',
      '[1]\n{"accepted": [1, "2"]}\n',
      /b\.jsonl:2: accepted\[1\]: expected a whole number from 0 to 255, got "2"$/,
    ],
    [
      'b.jsonl',
      '[1]\n{"accept": [1]}\n',
      /b\.jsonl:2: accepted: expected a list of accepted drafts, got \{"accept":\[1\]\}$/,
    ],
    ['b.jsonl', '[1]\n[\n', /b\.jsonl:2: expected JSON, got/],
    ['b.jsonl', '[]\n', /b\.jsonl:1: expected a list of accepted drafts, got \[\]$/],
    ['b.jsonl', '', /b\.jsonl: expected accepted drafts of at least one verification, got "none"$/],
  ])('refuses %s with %j', (name, text, message) => {
    expect(() => read(name, text)).toThrow(message);
  });

  it.each(['none.json', 'none.jsonl'])('says where a missing %s was named', (name) => {
    expect(() => readAcceptance(join(folder, name), '--speculative-config: acceptance')).toThrow(
      /^--speculative-config: acceptance: expected a readable file, got "no such file: /,
    );
  });
});
