/**
 * A tracer that holds a run to what every run promises, event by event: causes precede effects, tokens
 * never go back in time, and what is told adds up.
 */

import type { RequestHandle } from '../../src/core/engine.js';
import { invariant } from '../../src/core/errors.js';
import type { Tracer } from '../../src/core/trace/tracer.js';
import type { TimeNs } from '../../src/core/units.js';

interface Life {
  readonly arrivedAt: TimeNs;
  scheduledAt?: TimeNs;
  lastTokenAt?: TimeNs;
  numTokens: number;
  numPreemptions: number;
}

export class Told {
  readonly #alive = new Map<RequestHandle, Life>();
  readonly #steps = new Map<number, TimeNs>();
  /** Everything told, in order: equal for equal runs. */
  readonly log: string[] = [];
  numFinished = 0;

  /** Nobody is left in the middle of something. */
  get numAlive(): number {
    return this.#alive.size;
  }

  readonly tracer: Tracer = {
    requestArrive: (at, handle) => {
      this.log.push(`${at} arrive ${handle}`);
      this.#alive.set(handle, { arrivedAt: at, numTokens: 0, numPreemptions: 0 });
    },
    requestSchedule: (at, handle, { resumed }) => {
      this.log.push(`${at} schedule ${handle}`);
      const life = this.#life(handle);
      invariant(at >= life.arrivedAt, 'nobody is scheduled before it arrives');
      invariant(resumed === (life.scheduledAt !== undefined), 'resumed is who ran before');
      life.scheduledAt ??= at;
    },
    requestPreempt: (at, handle) => {
      this.log.push(`${at} preempt ${handle}`);
      const life = this.#life(handle);
      invariant(life.scheduledAt !== undefined, 'only who runs is preempted');
      life.numPreemptions++;
    },
    step: ({ instance, startAt, endAt, durationNs }) => {
      this.log.push(`${endAt} step ${instance} ${startAt}`);
      invariant(endAt >= startAt && durationNs === endAt - startAt, 'a step ends after it begins');
      invariant(endAt >= (this.#steps.get(instance) ?? 0), 'steps of an instance end in order');
      this.#steps.set(instance, endAt);
    },
    tokens: ({ at, instance, count, handles, numTokens }) => {
      const seen = new Set<RequestHandle>();
      for (let i = 0; i < count; i++) {
        const handle = handles[i]!;
        this.log.push(`${at} ${numTokens[i]} tokens ${handle}`);
        invariant(!seen.has(handle), 'a step names a request once');
        seen.add(handle);
        const life = this.#life(handle);
        invariant(numTokens[i]! > 0, 'who is named gets tokens');
        invariant(life.scheduledAt !== undefined && life.scheduledAt <= at, 'no token unscheduled');
        invariant(
          life.lastTokenAt === undefined || life.lastTokenAt < at,
          'tokens go forward in time, and share an instant only within a step',
        );
        invariant(this.#steps.get(instance) === at, 'tokens leave at the end of a step');
        life.lastTokenAt = at;
        life.numTokens += numTokens[i]!;
      }
    },
    requestFinish: (outcome) => {
      const { handle, reason, endedAt, outputTokens, lastTokenAt, numPreemptions } = outcome;
      this.log.push(`${endedAt} ${reason} ${handle} ${outputTokens}`);
      this.numFinished++;
      const life = this.#alive.get(handle);
      if (!life) {
        invariant(
          reason === 'abort' && outputTokens === 0,
          'who never arrived can only be aborted',
        );
        return;
      }
      this.#alive.delete(handle);
      invariant(endedAt >= life.arrivedAt, 'nobody ends before it arrives');
      invariant(outputTokens === life.numTokens, 'tokens told are tokens generated');
      invariant(numPreemptions === life.numPreemptions, 'preemptions told are preemptions');
      invariant(
        reason === 'abort' || lastTokenAt === life.lastTokenAt,
        'the last token told is last',
      );
    },
  };

  #life(handle: RequestHandle): Life {
    const life = this.#alive.get(handle);
    invariant(life !== undefined, 'what happens happens between arrival and end');
    return life;
  }
}
