/** How many threads independent runs are spread over. */

import { availableParallelism } from 'node:os';
import { ConfigError } from '../../core/errors.js';
import { DEFAULT_NUM_PROMPTS, type LoadOptions } from '../../core/workload/load.js';
import type { Flags } from '../simulate-flags.js';
import { countOf } from '../values.js';

/** Fewer requests than this in all are simulated sooner than a thread has started. */
const WORTH_A_THREAD = 50_000;

/** `--workers`; by default one core is left to others, and small work stays in this thread. */
export function numWorkersOf(flags: Flags, numRuns: number, load: LoadOptions): number {
  const text = flags.workers;
  if (typeof text === 'string') {
    const given = countOf('--workers', text);
    if (given >= 1) return Math.min(given, numRuns);
    throw new ConfigError('--workers', 'a whole number of at least 1', given);
  }
  const each =
    load.numPrompts ?? (load.source.kind === 'random' ? DEFAULT_NUM_PROMPTS : WORTH_A_THREAD);
  if (numRuns * each < WORTH_A_THREAD) return 1;
  return Math.max(1, Math.min(availableParallelism() - 1, numRuns));
}
