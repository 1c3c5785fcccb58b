/**
 * What the load's thread and a sending thread say to each other. Times cross as milliseconds since the
 * start of the run, so that nobody needs the other's clock except for the start itself, which is told on
 * the clock all threads share.
 */

import type { BenchRequest, RequestRecord } from '../request.js';
import type { ThreadUse } from '../thread-monitor.js';
import type { SenderSpec } from './sender-spec.js';

export interface ToThread {
  /** To be sent now; as many as fell due in one turn of the loop. */
  readonly send?: readonly Order[];
  /** Gives up what is under way. */
  readonly abort?: true;
  /** Says how it went. */
  readonly finish?: true;
}

export interface Order {
  readonly key: number;
  readonly request: BenchRequest;
  /** Start of the run on the shared clock. */
  readonly originMs: number;
  /** Since the start. */
  readonly scheduledMs: number;
}

export interface FromThread {
  readonly ready?: true;
  readonly records?: readonly (readonly [key: number, record: RequestRecord])[];
  readonly finished?: ThreadReport;
}

export interface ThreadReport {
  readonly use: ThreadUse;
  /** What had to be changed in the requests for this server. */
  readonly changes: readonly string[];
}

export interface ThreadData {
  readonly spec: SenderSpec;
}

/** `performance.now` counts from the start of each thread; this is by how much it is behind the clock they share. */
export const clockOffsetMs = (): number =>
  Number(process.hrtime.bigint()) / 1e6 - performance.now();
