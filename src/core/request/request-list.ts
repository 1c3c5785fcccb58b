/**
 * A doubly linked list of requests: the running list, or the waiting queue.
 *
 * The links live in the request, which is in one list at a time, so moving costs nothing.
 */

import type { Request } from './request.js';

export class RequestList {
  head: Request | undefined;
  tail: Request | undefined;
  size = 0;

  pushBack(request: Request): void {
    this.insertAfter(this.tail, request);
  }

  pushFront(request: Request): void {
    this.insertAfter(undefined, request);
  }

  /** Puts `request` behind `place`, or in front of all when there is no `place`. */
  insertAfter(place: Request | undefined, request: Request): void {
    const next = place ? place.next : this.head;
    request.prev = place;
    request.next = next;
    if (place) place.next = request;
    else this.head = request;
    if (next) next.prev = request;
    else this.tail = request;
    this.size++;
  }

  remove(request: Request): void {
    const { prev, next } = request;
    if (prev) prev.next = next;
    else this.head = next;
    if (next) next.prev = prev;
    else this.tail = prev;
    request.prev = undefined;
    request.next = undefined;
    this.size--;
  }

  *[Symbol.iterator](): Iterator<Request> {
    for (let request = this.head; request; request = request.next) yield request;
  }
}
