/**
 * Commands on their way to an instance, in time order: a ring that grows. Most come in order and go to
 * the end; one from inside an event (a closed loop) may overtake those that were announced earlier.
 */

import type { Request } from '../request/request.js';
import type { TimeNs } from '../units.js';

export class Inbox {
  #requests: (Request | undefined)[] = new Array(16).fill(undefined);
  #handles: number[] = new Array(16).fill(0);
  #times: TimeNs[] = new Array(16).fill(0);
  #mask = 15;
  #head = 0;
  size = 0;

  /** When the first command is due; Infinity when there is none. */
  get nextAt(): TimeNs {
    return this.size > 0 ? this.#times[this.#head]! : Infinity;
  }

  push(at: TimeNs, request: Request): void {
    if (this.size > this.#mask) this.#grow();
    const mask = this.#mask;
    let i = this.#head + this.size++;
    for (; i > this.#head && this.#times[(i - 1) & mask]! > at; i--) {
      this.#times[i & mask] = this.#times[(i - 1) & mask]!;
      this.#requests[i & mask] = this.#requests[(i - 1) & mask];
      this.#handles[i & mask] = this.#handles[(i - 1) & mask]!;
    }
    this.#times[i & mask] = at;
    this.#requests[i & mask] = request;
    this.#handles[i & mask] = request.handle;
  }

  /** Takes the first command; `undefined` when its request has ended meanwhile. */
  shift(): Request | undefined {
    const request = this.#requests[this.#head]!;
    const handle = this.#handles[this.#head];
    this.#requests[this.#head] = undefined;
    this.#head = (this.#head + 1) & this.#mask;
    this.size--;
    return request.handle === handle && request.phase !== 'ended' ? request : undefined;
  }

  #grow(): void {
    const order = Array.from({ length: this.size }, (_, i) => (this.#head + i) & this.#mask);
    const room = new Array(this.size).fill(0);
    this.#times = [...order.map((i) => this.#times[i]!), ...room];
    this.#handles = [...order.map((i) => this.#handles[i]!), ...room];
    this.#requests = [...order.map((i) => this.#requests[i]), ...room.fill(undefined)];
    this.#mask = this.#times.length - 1;
    this.#head = 0;
  }
}
