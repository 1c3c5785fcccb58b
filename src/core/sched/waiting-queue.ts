/** Who waits, in the order in which they will be served. */

import type { Request } from '../request/request.js';
import { RequestList } from '../request/request-list.js';
import type { SchedulerPolicy } from './policy.js';

export class WaitingQueue {
  readonly list = new RequestList();

  constructor(private readonly policy: SchedulerPolicy) {}

  arrive(request: Request): void {
    request.phase = 'waiting';
    if (this.policy.compareWaiting) this.#insert(request);
    else this.list.pushBack(request);
  }

  /** A preempted request comes back: to the front, or to its place (16). */
  comeBack(request: Request): void {
    request.phase = 'waiting';
    if (this.policy.compareWaiting) this.#insert(request);
    else this.list.pushFront(request);
  }

  #insert(request: Request): void {
    let place = this.list.tail;
    while (place && this.policy.compareWaiting!(request, place) < 0) place = place.prev;
    this.list.insertAfter(place, request);
  }
}
