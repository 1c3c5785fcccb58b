/** How much one server does for its callers: past a limit they are told to come again. */

import { Code, type ConnectError } from '@connectrpc/connect';
import type { LoadOptions } from '../core/workload/load.js';
import { refuse } from './errors.js';
import type { Limits } from './ports.js';

const RETRY_AFTER_S = 1;

/** Counts the simulations under way. */
export class Runs {
  #numRunning = 0;

  constructor(private readonly limits: Limits) {}

  get numRunning(): number {
    return this.#numRunning;
  }

  /** @returns what to call when the run is over. @throws {ConnectError} RESOURCE_EXHAUSTED */
  begin(): () => void {
    const { maxConcurrentRuns } = this.limits;
    if (this.#numRunning >= maxConcurrentRuns) {
      throw exhausted(
        'too_many_runs',
        `${maxConcurrentRuns} simulations are running, as many as this server runs at once.`,
      );
    }
    this.#numRunning++;
    let over = false;
    return () => {
      if (!over) this.#numRunning--;
      over = true;
    };
  }
}

/** @throws {ConnectError} RESOURCE_EXHAUSTED */
export function checkNumRequests(load: LoadOptions, { maxRequestsPerRun }: Limits): void {
  if ((load.numPrompts ?? 0) <= maxRequestsPerRun) return;
  throw exhausted(
    'too_many_requests',
    `A simulation has at most ${maxRequestsPerRun} requests here, not ${load.numPrompts}.`,
  );
}

/** Counts what one simulation has told. */
export class EventBudget {
  #left: number;

  constructor(private readonly limits: Limits) {
    this.#left = limits.maxEventsPerRun;
  }

  /** @throws {ConnectError} RESOURCE_EXHAUSTED */
  spend(numEvents: number): void {
    this.#left -= numEvents;
    if (this.#left >= 0) return;
    throw exhausted(
      'too_many_events',
      `A simulation tells at most ${this.limits.maxEventsPerRun} events here. Ask for less detail or simulate less.`,
    );
  }
}

const exhausted = (reason: string, message: string): ConnectError =>
  refuse({ code: Code.ResourceExhausted, reason, message, retryAfterS: RETRY_AFTER_S });
