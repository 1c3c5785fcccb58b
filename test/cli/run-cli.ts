/**
 * Runs one command line in process and returns what it said. Words are separated by spaces; one in single
 * quotes loses them, as in a shell.
 */
import type { Io } from '../../src/cli/io.js';
import { run } from '../../src/cli/main.js';

export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export async function cli(line: string | readonly string[], io: Partial<Io> = {}): Promise<Said> {
  const argv = typeof line === 'string' ? wordsOf(line) : line;
  let out = '';
  let err = '';
  const code = await run(argv, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    errIsTerminal: false,
    onInterrupt: () => () => {},
    onStop() {},
    ...io,
  });
  return { code, out, err };
}

const wordsOf = (line: string): string[] =>
  line
    .split(' ')
    .filter((word) => word !== '')
    .map((word) => word.replace(/^'(.*)'$/, '$1'));
