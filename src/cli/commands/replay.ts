/**
 * `replay`: a recording once more.
 *
 *   replay FILE --model ... --hardware ...   on any model and hardware, in virtual time: `simulate`
 *   replay FILE --base-url URL               sent to a server at its own times: `bench`
 *   replay FILE --serve                      as a server whose tokens leave when they left: `server`
 *
 * It takes the options of the command that stands behind it.
 */

import { Command } from 'commander';
import type { DefineCommand } from '../command.js';

interface Way {
  readonly command: string;
  /** The option of that command that takes the recording. */
  readonly option: string;
  load(): Promise<DefineCommand>;
}

const SIMULATE: Way = {
  command: 'simulate',
  option: '--trace',
  load: async () => (await import('./simulate.js')).defineSimulate,
};
const SEND: Way = {
  command: 'bench',
  option: '--trace',
  load: async () => (await import('./bench.js')).defineBench,
};
const SERVE: Way = {
  command: 'server',
  option: '--playback',
  load: async () => (await import('./server.js')).defineServer,
};

export const defineReplay: DefineCommand = (command, io, exit) => {
  command
    .argument('<file>', 'a recording: server --record, bench --record, or any trace')
    .argument('[options...]', 'of the command that stands behind it')
    .option('--serve', 'a server whose tokens leave as they were recorded (options of server)')
    .option('--base-url <url>', 'send the requests to a server (options of bench)')
    .addHelpText('after', '\nWithout either: simulated, with the options of simulate.')
    .allowUnknownOption()
    .action(async (file: string, rest: string[], flags: { serve?: true; baseUrl?: string }) => {
      const way = flags.serve ? SERVE : flags.baseUrl === undefined ? SIMULATE : SEND;
      const define = await way.load();
      const inner = new Command(`llmservingsim ${way.command}`).exitOverride();
      inner.configureOutput({
        writeOut: (text) => io.out(text),
        writeErr: (text) => io.err(text),
      });
      define(inner, io, exit);
      const target = flags.baseUrl === undefined ? [] : ['--base-url', flags.baseUrl];
      await inner.parseAsync([way.option, file, ...target, ...rest], { from: 'user' });
    });
};
