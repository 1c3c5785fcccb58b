import type { SchedulableRequest, SchedulerPolicy } from '../policy.js';

const byUrgency = (a: SchedulableRequest, b: SchedulableRequest): number =>
  a.priority - b.priority || a.index - b.index;

/** Lower `priority` first, then arrival, as vLLM's `--scheduling-policy priority`. */
export const priority: SchedulerPolicy = {
  name: 'priority',
  compareWaiting: byUrgency,
  compareVictims: byUrgency,
};
