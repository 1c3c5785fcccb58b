/**
 * What is counted while a simulation runs: requests, tokens, and the latencies of those that finish.
 *
 * One object serves all instances. A finished request adds one sample to TTFT, TPOT, E2E and queue
 * time; gaps between tokens arrive weighted, one value for all decodes of a step.
 */

import type { RequestOutcome } from '../trace/tracer.js';
import { msFromNs } from '../units.js';
import { LatencySketch } from './quantiles.js';
import type { Slo } from './report.js';

export class RunMetrics {
  completed = 0;
  aborted = 0;
  rejected = 0;
  inputTokens = 0;
  outputTokens = 0;
  cachedTokens = 0;
  good = 0;
  readonly ttft: LatencySketch;
  readonly tpot: LatencySketch;
  readonly e2el: LatencySketch;
  readonly queue: LatencySketch;
  readonly itl = new LatencySketch();

  constructor(
    readonly slo: Slo | undefined,
    exact: boolean,
  ) {
    this.ttft = new LatencySketch(exact);
    this.tpot = new LatencySketch(exact);
    this.e2el = new LatencySketch(exact);
    this.queue = new LatencySketch(exact);
  }

  ended(outcome: RequestOutcome): void {
    if (outcome.reason === 'abort') this.aborted++;
    else if (outcome.reason === 'rejected') this.rejected++;
    else this.#completed(outcome);
  }

  #completed(outcome: RequestOutcome): void {
    const { arrivedAt, outputTokens } = outcome;
    const firstAt = outcome.firstTokenAt!;
    const lastAt = outcome.lastTokenAt!;
    this.completed++;
    this.inputTokens += outcome.spec.promptTokens;
    this.outputTokens += outputTokens;
    this.cachedTokens += outcome.cachedTokens;
    const ttft = firstAt - arrivedAt;
    const tpot = outputTokens > 1 ? (lastAt - firstAt) / (outputTokens - 1) : 0;
    const e2el = lastAt - arrivedAt;
    this.ttft.add(ttft);
    if (outputTokens > 1) this.tpot.add(tpot);
    this.e2el.add(e2el);
    this.queue.add(outcome.scheduledAt! - arrivedAt);
    if (this.slo && meets(this.slo, ttft, tpot, e2el)) this.good++;
  }
}

function meets(slo: Slo, ttftNs: number, tpotNs: number, e2elNs: number): boolean {
  return (
    msFromNs(ttftNs) <= (slo.ttftMs ?? Infinity) &&
    msFromNs(tpotNs) <= (slo.tpotMs ?? Infinity) &&
    msFromNs(e2elNs) <= (slo.e2elMs ?? Infinity)
  );
}
