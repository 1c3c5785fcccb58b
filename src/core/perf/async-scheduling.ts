/**
 * Whether an engine schedules a step while the one before still runs, and what its CPU costs then.
 *
 * Two things rule it out: pipeline stages, which have batches in flight as it is, and drafts of `ngram`,
 * which are made on the CPU of tokens that an asynchronous step does not have yet.
 */

import { ConfigError } from '../errors.js';
import type { Layout } from '../model/parallelism.js';
import type { PoolSpec } from '../scenario.js';
import type { EngineProfile } from './engine-profile.js';

/** @throws {ConfigError} when it was asked for and cannot be */
export function schedulesAhead(
  { options, speculation }: PoolSpec,
  { pp }: Layout,
  engine: EngineProfile,
  notes: string[],
): boolean {
  if (pp > 1) {
    if (!options.asyncScheduling) return false;
    throw new ConfigError(
      '--async-scheduling',
      'a single pipeline stage',
      `--pipeline-parallel-size ${pp}`,
      'with stages, batches are in flight as it is: leave --async-scheduling out',
    );
  }
  const asked = options.asyncScheduling ?? engine.defaults.asyncScheduling;
  if (!asked || speculation?.method !== 'ngram') return asked;
  if (options.asyncScheduling) {
    throw new ConfigError(
      '--async-scheduling',
      'false with ngram, as in vLLM: its drafts wait for the tokens of the step before',
      true,
    );
  }
  notes.push('ngram turns asynchronous scheduling off');
  return false;
}

/** The engine as it is when it schedules ahead, or does not: the CPU's time is hidden or added. */
export const engineIn = (engine: EngineProfile, asynchronous: boolean): EngineProfile =>
  asynchronous === engine.defaults.asyncScheduling
    ? engine
    : { ...engine, ...engine.hostInOtherMode };
