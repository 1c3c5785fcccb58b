import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cli } from './run-cli.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'documentation-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Commands a reader would paste, without those that start a server. */
const commandsOf = (page: string): string[] =>
  [...readFileSync(page, 'utf8').matchAll(/^npx llmservingsim ((?:simulate|list-|help).*)$/gm)].map(
    ([, line]) => line!.replace(/ +#.*$/, ''),
  );

describe.each(['README.md', 'docs/recipes.md'])('%s', (page) => {
  it.each(commandsOf(page))('%s', async (line) => {
    const { code, out, err } = await cli(line.replaceAll('output/', `${folder}/output/`));
    expect([code, err]).toEqual([0, '']);
    expect(out.length).toBeGreaterThan(100);
  });
});
