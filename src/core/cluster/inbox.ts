/**
 * Commands on their way to an instance, in time order: a ring that grows. Most come in order and go to
 * the end; one from inside an event (a closed loop) may overtake those that were announced earlier.
 */

import type { Request } from '../request/request.js';
import type { TimeNs } from '../units.js';

export class Inbox {
  #requests: (Request | undefined)[] = new Array(16).fill(undefined);
  #generations = new Int32Array(16);
  #times = new Float64Array(16);
  #mask = 15;
  #head = 0;
  size = 0;
  /** When the first command is due; Infinity when there is none. */
  nextAt: TimeNs = Infinity;

  push(at: TimeNs, request: Request): void {
    if (this.size > this.#mask) this.#grow();
    const mask = this.#mask;
    let i = this.#head + this.size++;
    for (; i > this.#head && this.#times[(i - 1) & mask]! > at; i--) {
      this.#times[i & mask] = this.#times[(i - 1) & mask]!;
      this.#requests[i & mask] = this.#requests[(i - 1) & mask];
      this.#generations[i & mask] = this.#generations[(i - 1) & mask]!;
    }
    this.#times[i & mask] = at;
    this.#requests[i & mask] = request;
    this.#generations[i & mask] = request.generation;
    if (at < this.nextAt) this.nextAt = at;
  }

  /** Takes the first command; `undefined` when its request has ended meanwhile. */
  shift(): Request | undefined {
    const request = this.#requests[this.#head]!;
    const generation = this.#generations[this.#head];
    this.#requests[this.#head] = undefined;
    this.#head = (this.#head + 1) & this.#mask;
    this.size--;
    this.nextAt = this.size > 0 ? this.#times[this.#head]! : Infinity;
    return request.generation === generation ? request : undefined;
  }

  #grow(): void {
    const order = Array.from({ length: this.size }, (_, i) => (this.#head + i) & this.#mask);
    const times = new Float64Array(2 * this.size);
    const generations = new Int32Array(2 * this.size);
    times.set(order.map((i) => this.#times[i]!));
    generations.set(order.map((i) => this.#generations[i]!));
    const room = new Array(this.size).fill(undefined);
    this.#requests = [...order.map((i) => this.#requests[i]), ...room];
    this.#times = times;
    this.#generations = generations;
    this.#mask = times.length - 1;
    this.#head = 0;
  }
}
