/**
 * What one schedule call decided, kept until its tokens are delivered: at the end of the same step, or
 * of the next one under asynchronous scheduling.
 *
 * Decodes that flow along, one token a step, are a number (`steady`). Named are only those for whom
 * this batch is special: a first token, a token after a gap, a last token.
 */

import { DOUBLE_ZERO } from '../double.js';
import type { Acceptance, StepShape } from '../engine.js';
import type { Request } from '../request/request.js';
import { clearShape, emptyShape } from '../step-shape.js';
import type { Ticks, TimeNs } from '../units.js';

export class Batch {
  /** Number of the schedule call, from 1; of the last one when a run repeats it. */
  call = 0;
  numTokens = 0;
  /** Decodes whose previous token was in the batch before: their gap is the step itself. */
  steady = 0;
  ticks: Ticks = DOUBLE_ZERO;
  /** With pipeline stages: when it entered the first, and how long from now until it leaves the last. */
  startedAt: TimeNs = DOUBLE_ZERO;
  leavesIn: Ticks = DOUBLE_ZERO;
  /** How long its step waits for adapters, part of `ticks` once it is priced. */
  loadTicks: Ticks = DOUBLE_ZERO;
  readonly shape: StepShape = emptyShape();
  /** Requests that get their first token, or the first one after having missed a step. */
  readonly singles = new RequestBag();
  /** Followed one by one, all that get tokens: with speculation a draw decides how many. */
  readonly drafted = new DraftedBatch();
  /** Requests that get their last token. */
  readonly finishing = new RequestBag();
  /** Requests that get a token and then stall: preempted or left out while it was in flight. */
  readonly stalling = new RequestBag();

  reset(call: number): void {
    this.call = call;
    this.numTokens = 0;
    this.steady = 0;
    this.ticks = 0;
    this.loadTicks = 0;
    this.singles.clear();
    this.drafted.requests.clear();
    this.finishing.clear();
    this.stalling.clear();
    clearShape(this.shape);
  }

  /** Becomes the batch of a later call of a run of which `other` is the first. */
  repeat(other: Batch, call: number, ticks: Ticks): void {
    this.reset(call);
    this.numTokens = other.numTokens;
    this.steady = other.steady;
    this.ticks = ticks;
    // Only pure decodes repeat: there is no prefill to copy.
    this.shape.numDecodes = other.shape.numDecodes;
    this.shape.decodeContext = other.shape.decodeContext;
    this.shape.decodeWindowContext = other.shape.decodeWindowContext;
    this.shape.numSampled = other.shape.numSampled;
    this.shape.loraTokens = other.shape.loraTokens!;
    this.shape.numAdapters = other.shape.numAdapters!;
  }
}

/**
 * A reusable list of requests that may have ended since they were put in: a record is recognised by
 * its generation. (Emptying an array by its length would give its memory back, and cost more than a step.)
 */
export class RequestBag {
  readonly #requests: Request[] = [];
  readonly #generations: number[] = [];
  size = 0;

  add(request: Request): void {
    this.#requests[this.size] = request;
    this.#generations[this.size++] = request.generation;
  }

  clear(): void {
    this.size = 0;
  }

  /** The i-th request, or `undefined` when it has ended meanwhile. */
  at(i: number): Request | undefined {
    const request = this.#requests[i]!;
    return request.generation === this.#generations[i] ? request : undefined;
  }

  has(request: Request): boolean {
    for (let i = 0; i < this.size; i++) if (this.at(i) === request) return true;
    return false;
  }

  /** Those still alive of which `keep` holds, in order of admission. */
  inOrder(keep: (request: Request) => boolean): readonly Request[] {
    if (this.size === 0) return NOBODY;
    const alive = Array.from({ length: this.size }, (_, i) => this.at(i));
    return alive
      .filter((request) => request !== undefined && keep(request))
      .sort((a, b) => a!.position - b!.position) as Request[];
  }

  /** Sorts by order of admission, which is the order of a batch. */
  sortByPosition(): void {
    const requests = this.#requests;
    for (let i = 1; i < this.size; i++) {
      const request = requests[i]!;
      const generation = this.#generations[i]!;
      let j = i - 1;
      for (; j >= 0 && requests[j]!.position > request.position; j--) {
        requests[j + 1] = requests[j]!;
        this.#generations[j + 1] = this.#generations[j]!;
      }
      requests[j + 1] = request;
      this.#generations[j + 1] = generation;
    }
  }
}

/** Requests followed one by one that get tokens in a step, in the order of the batch. */
export class DraftedBatch {
  readonly requests = new RequestBag();
  /** Drafts scheduled, and whether the request was admitted in this very batch (43). */
  readonly drafts: number[] = [];
  readonly admitted: boolean[] = [];
  /** Drafts that held and tokens generated, once drawn. */
  readonly held: number[] = [];
  readonly tokens: number[] = [];

  add(request: Request, drafts: number, admitted: boolean): void {
    const i = this.requests.size;
    this.requests.add(request);
    this.drafts[i] = drafts;
    this.admitted[i] = admitted;
  }

  /**
   * Draws how many drafts held (none of an admission's, which only pad it), and what that generates:
   * one token more, cut where the request ends.
   */
  draw(acceptance: Acceptance | undefined): void {
    for (let i = 0; i < this.requests.size; i++) {
      const request = this.requests.at(i);
      if (!request) continue;
      const drafts = this.drafts[i]!;
      const draws = drafts > 0 && !this.admitted[i];
      const held = draws ? acceptance!.accepted(request, drafts) : 0;
      this.held[i] = held;
      this.tokens[i] = Math.min(held + 1, request.endComputed + 1 - request.known);
    }
  }
}

const NOBODY: readonly Request[] = [];
