/** Runs one command line in process and returns what it said. */
import type { Io } from '../../src/cli/io.js';
import { run } from '../../src/cli/main.js';

export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export async function cli(line: string | readonly string[], io: Partial<Io> = {}): Promise<Said> {
  const argv = typeof line === 'string' ? line.split(' ').filter((word) => word !== '') : line;
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
