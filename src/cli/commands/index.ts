/** The commands, in the order of help. Each is loaded when it is run, so none pays for the others. */

import type { DefineCommand } from '../command.js';

export interface CommandEntry {
  readonly name: string;
  readonly about: string;
  load(): Promise<DefineCommand>;
}

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'setup-perf',
    about: 'the performance models of all models on all hardware, in one table',
    load: async () => (await import('./setup-perf.js')).defineSetupPerf,
  },
  {
    name: 'server',
    about: 'an OpenAI endpoint and gRPC with the timing of any model on any hardware',
    load: async () => (await import('./server.js')).defineServer,
  },
  {
    name: 'test-api',
    about: 'check an OpenAI-compatible server, ours or another',
    load: async () => (await import('./test-api.js')).defineTestApi,
  },
  {
    name: 'simulate',
    about: 'simulate a trace or a drawn load on any model and hardware, and report',
    load: async () => (await import('./simulate.js')).defineSimulate,
  },
  {
    name: 'bench',
    about: 'load-test any LLM endpoint, in the words of vllm bench serve',
    load: async () => (await import('./bench.js')).defineBench,
  },
  {
    name: 'replay',
    about: 'a recording once more: simulated, sent to a server, or played back by one',
    load: async () => (await import('./replay.js')).defineReplay,
  },
  {
    name: 'compare',
    about: 'result files of simulate and bench side by side',
    load: async () => (await import('./compare.js')).defineCompare,
  },
  {
    name: 'explain',
    about: 'one step operator by operator: FLOP, bytes, bound, and how each constant was found',
    load: async () => (await import('./explain.js')).defineExplain,
  },
  {
    name: 'calibrate',
    about: 'fit the model to what a real server did, for --calibration',
    load: async () => (await import('./calibrate.js')).defineCalibrate,
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
