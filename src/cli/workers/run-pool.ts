/**
 * Independent simulations on several cores: each in a thread of its own, answers by job.
 *
 * A run is a function of its flags, so where it happens changes nothing: the bytes are those of one
 * thread. A job that is no longer wanted is aborted, which ends its thread.
 */

import { Piscina } from 'piscina';
import { tsxApi } from '../../text/start-worker.js';
import { type Answer, answerOf, type Job, type Reply } from './job.js';

export class RunPool {
  readonly #pool: Piscina;

  constructor(numWorkers: number) {
    this.#pool = new Piscina({
      ...entry(),
      minThreads: 1,
      maxThreads: numWorkers,
      // One job at a time, and no thread that lingers.
      concurrentTasksPerWorker: 1,
      idleTimeout: 1000,
    });
  }

  /** @throws the signal's abort, as an error named AbortError */
  async run<J extends Job>(job: J, signal?: AbortSignal): Promise<Answer<J>> {
    const reply = (await this.#pool.run(job, signal ? { signal } : {})) as Reply;
    return answerOf(reply) as Answer<J>;
  }

  /** Ends all threads, at once. */
  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

/**
 * Built code runs as it is; in a source checkout the thread goes through tsx, like everything else. Through
 * its hooks for ESM alone: with those for `require` the modules loaded at first would be other ones than
 * those that `import()` brings later.
 */
function entry(): { filename: string; execArgv?: string[] } {
  if (!import.meta.url.endsWith('.ts')) {
    return { filename: new URL('./simulate-worker.js', import.meta.url).href };
  }
  const filename = new URL('./simulate-worker.ts', import.meta.url).href;
  const start = `import { register } from '${tsxApi()}'; register();`;
  return { filename, execArgv: ['--import', `data:text/javascript,${encodeURIComponent(start)}`] };
}

export const isAbort = (error: unknown): boolean =>
  error instanceof Error && error.name === 'AbortError';
