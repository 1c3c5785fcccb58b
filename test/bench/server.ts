/** Our own server, listening on a free port, for commands that measure one. */

import { type RunningServer, startServer } from '../../src/cli/commands/server.js';
import type { Io } from '../../src/cli/io.js';
import type { Flags } from '../../src/cli/simulate-flags.js';

export const startTestServer = (flags: Flags = {}): Promise<RunningServer> =>
  startServer(
    {
      model: 'meta-llama/Llama-2-7b-hf',
      hardware: 'H100',
      host: '127.0.0.1',
      port: '0',
      grpcPort: '0',
      maxModelLen: '65536',
      ...flags,
    },
    { out() {}, err() {}, errIsTerminal: false, onInterrupt: () => () => {}, onStop() {} },
  );

/** Ctrl-C as soon as the progress line has an answer: however long the start takes. */
export function interruptedAtFirstAnswer(): Partial<Io> {
  let interrupt = () => {};
  return {
    errIsTerminal: true,
    err(text) {
      if (/[1-9]\d*\/\S+ done/.test(text)) interrupt();
    },
    onInterrupt(stop) {
      interrupt = stop;
      return () => {};
    },
  };
}
