/** One simulation as a thread is asked for it: flags, from which everything follows, and plain data back. */

import { ConfigError } from '../../core/errors.js';
import { digestOf, type RunDigest } from '../../report/comparison.js';
import type { Run } from '../../report/run.js';
import type { Probe } from '../find-rate.js';
import { probeOf, scaled } from '../find-rate.js';
import type { Flags } from '../simulate-flags.js';

export type Job =
  | { readonly kind: 'compare'; readonly flags: Flags }
  /** The load `scale` times as fast; `fraction` of its requests are to be good. */
  | {
      readonly kind: 'find-rate';
      readonly flags: Flags;
      readonly scale: number;
      readonly fraction: number;
    };

export type Answer<J extends Job = Job> = J extends { kind: 'compare' } ? RunDigest : Probe;

/** What comes back; a `ConfigError` loses its class on the way, so its parts are sent. */
export type Reply =
  | { readonly answer: Answer }
  | {
      readonly refused: {
        readonly path: string;
        readonly expected: string;
        readonly got: unknown;
        readonly hint?: string | undefined;
      };
    };

/** Does `job`, with `simulate` running a composition to its end. */
export async function doJob(
  job: Job,
  simulate: (change: (load: Run['load']) => Run['load']) => Promise<Run>,
): Promise<Answer> {
  if (job.kind === 'compare') return digestOf(await simulate((load) => load));
  const { scale, fraction } = job;
  return probeOf(await simulate((load) => scaled(load, scale)), scale, fraction);
}

export const refusal = ({ path, expected, got, hint }: ConfigError): Reply => ({
  refused: { path, expected, got: String(got), hint },
});

export function answerOf(reply: Reply): Answer {
  if ('answer' in reply) return reply.answer;
  const { path, expected, got, hint } = reply.refused;
  throw new ConfigError(path, expected, got, hint);
}
