import { ConfigError, closest } from '../../errors.js';
import type { SchedulerPolicy } from '../policy.js';
import { fcfs } from './fcfs.js';
import { priority } from './priority.js';
import { shortestPromptFirst } from './shortest-prompt-first.js';

/** The scheduling policies, by the name `--scheduling-policy` takes. */
export const POLICIES: readonly SchedulerPolicy[] = [fcfs, priority, shortestPromptFirst];

export function policyNamed(name: string): SchedulerPolicy {
  const policy = POLICIES.find((candidate) => candidate.name === name);
  if (policy) return policy;
  const names = POLICIES.map((candidate) => candidate.name);
  const near = closest(name, names);
  throw new ConfigError(
    '--scheduling-policy',
    names.join(', '),
    name,
    near ? `Did you mean ${near}?` : undefined,
  );
}
