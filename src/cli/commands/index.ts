/** The commands, in the order of help. Each is loaded when it is run, so none pays for the others. */

import type { DefineCommand } from '../command.js';

export interface CommandEntry {
  readonly name: string;
  readonly about: string;
  load(): Promise<DefineCommand>;
}

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'server',
    about: 'an OpenAI endpoint and gRPC with the timing of any model on any hardware',
    load: async () => (await import('./server.js')).defineServer,
  },
  {
    name: 'simulate',
    about: 'simulate a trace or a drawn load on any model and hardware, and report',
    load: async () => (await import('./simulate.js')).defineSimulate,
  },
  {
    name: 'list-models',
    about: 'models known by name',
    load: async () => (await import('./list-models.js')).defineListModels,
  },
  {
    name: 'list-hardware',
    about: 'GPUs known by name',
    load: async () => (await import('./list-hardware.js')).defineListHardware,
  },
];
