/**
 * What a router decides: which instance serves a request. It sees counts of each instance at the
 * moment of arrival, and nothing of the future.
 */

import type { RequestSpec } from '../engine.js';
import type { RandomStream } from '../rng.js';

export interface RoutableInstance {
  readonly index: number;
  readonly numRunning: number;
  readonly numWaiting: number;
}

export interface Router {
  /** @returns the index of one of `instances`. */
  choose(spec: RequestSpec, instances: readonly RoutableInstance[]): number;
}

export interface RouterKind {
  readonly name: string;
  create(random: RandomStream): Router;
}
