/**
 * Commands on their way to an instance, in time order. Most come in order and go to the end; one from
 * inside an event (a closed loop) may overtake those that were announced earlier.
 */

import type { Request } from '../request/request.js';
import type { TimeNs } from '../units.js';

export class Inbox {
  #requests: Request[] = [];
  #handles: number[] = [];
  #times: TimeNs[] = [];
  #head = 0;

  get size(): number {
    return this.#times.length - this.#head;
  }

  /** When the first command is due; Infinity when there is none. */
  get nextAt(): TimeNs {
    return this.#head < this.#times.length ? this.#times[this.#head]! : Infinity;
  }

  push(at: TimeNs, request: Request): void {
    let i = this.#times.length;
    this.#times.push(at);
    this.#requests.push(request);
    this.#handles.push(request.handle);
    for (; i > this.#head && this.#times[i - 1]! > at; i--) {
      this.#times[i] = this.#times[i - 1]!;
      this.#requests[i] = this.#requests[i - 1]!;
      this.#handles[i] = this.#handles[i - 1]!;
    }
    this.#times[i] = at;
    this.#requests[i] = request;
    this.#handles[i] = request.handle;
  }

  /** Takes the first command; `undefined` when its request has ended meanwhile. */
  shift(): Request | undefined {
    const request = this.#requests[this.#head]!;
    const alive = request.handle === this.#handles[this.#head] && request.phase !== 'ended';
    this.#head++;
    if (this.#head === this.#times.length) this.#compact(0);
    else if (this.#head > 1024 && this.#head * 2 > this.#times.length) this.#compact(this.size);
    return alive ? request : undefined;
  }

  #compact(left: number): void {
    if (left === 0 && this.#times.length < 4096) {
      this.#times.length = 0;
      this.#requests.length = 0;
      this.#handles.length = 0;
    } else {
      this.#times = this.#times.slice(this.#head);
      this.#requests = this.#requests.slice(this.#head);
      this.#handles = this.#handles.slice(this.#head);
    }
    this.#head = 0;
  }
}
