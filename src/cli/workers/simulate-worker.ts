/** The thread of `run-pool.ts`: one job at a time, from its flags to plain data. */

import { ConfigError } from '../../core/errors.js';
import type { Io } from '../io.js';
import { baseOf, composeFlags, runOnce } from '../simulate-run.js';
import { doJob, type Job, type Reply, refusal } from './job.js';

/** A thread says nothing itself and is ended from outside. */
const SILENT: Io = {
  out() {},
  err() {},
  errIsTerminal: false,
  onInterrupt: () => () => {},
  onStop() {},
};

export default async function simulateJob(job: Job): Promise<Reply> {
  try {
    const { flags } = job;
    const composition = await composeFlags(flags, await baseOf(flags));
    const answer = await doJob(job, (change) =>
      runOnce({ ...composition, load: change(composition.load) }, flags, SILENT),
    );
    return { answer };
  } catch (error) {
    if (error instanceof ConfigError) return refusal(error);
    throw error;
  }
}
