/**
 * What is counted while a simulation runs: requests, tokens, and the latencies of those that finish.
 *
 * One object serves all instances. A finished request adds one sample to TTFT, TPOT, E2E and queue
 * time; gaps between tokens arrive weighted, one value for all decodes of a step.
 */

import { DOUBLE_ZERO } from '../double.js';
import type { FinishReason } from '../engine.js';
import type { Request } from '../request/request.js';
import { msFromNs, type TimeNs } from '../units.js';
import { LatencySketch } from './quantiles.js';
import type { Slo } from './report.js';

export class RunMetrics {
  completed = 0;
  aborted = 0;
  rejected = 0;
  inputTokens = DOUBLE_ZERO;
  outputTokens = DOUBLE_ZERO;
  cachedTokens = DOUBLE_ZERO;
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

  ended(request: Request, reason: FinishReason, lastTokenAt: TimeNs, outputTokens: number): void {
    if (reason === 'abort') this.aborted++;
    else if (reason === 'rejected') this.rejected++;
    else this.#completed(request, lastTokenAt, outputTokens);
  }

  #completed(request: Request, lastAt: TimeNs, outputTokens: number): void {
    const { arrivedAt, firstTokenAt: firstAt } = request;
    this.completed++;
    this.inputTokens += request.promptTokens;
    this.outputTokens += outputTokens;
    this.cachedTokens += request.cachedTokens;
    const ttft = firstAt - arrivedAt;
    const tpot = outputTokens > 1 ? (lastAt - firstAt) / (outputTokens - 1) : 0;
    const e2el = lastAt - arrivedAt;
    this.ttft.add(ttft);
    if (outputTokens > 1) this.tpot.add(tpot);
    this.e2el.add(e2el);
    this.queue.add(request.scheduledAt - arrivedAt);
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
