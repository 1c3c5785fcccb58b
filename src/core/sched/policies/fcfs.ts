import type { SchedulerPolicy } from '../policy.js';

/** First come, first served: vLLM's default. The last admitted is preempted first. */
export const fcfs: SchedulerPolicy = { name: 'fcfs' };
