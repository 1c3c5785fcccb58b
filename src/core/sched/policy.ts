/**
 * What a scheduling policy decides: who waits before whom, and who is preempted.
 *
 * A policy sees a `SchedulableRequest`, which has no output length: an engine cannot know it.
 */

export interface SchedulableRequest {
  readonly index: number;
  readonly priority: number;
  readonly promptTokens: number;
  readonly numPreemptions: number;
}

export interface SchedulerPolicy {
  readonly name: string;
  /**
   * Order of the waiting queue: negative when `a` goes first. Absent: arrivals at the back, preempted
   * requests at the front.
   */
  compareWaiting?(a: SchedulableRequest, b: SchedulableRequest): number;
  /** Of the running requests, the one with the largest value here is preempted. Absent: the last admitted. */
  compareVictims?(a: SchedulableRequest, b: SchedulableRequest): number;
}
