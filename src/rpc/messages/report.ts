/** The report of a run as a message: the numbers of the result JSON, and its `simulation` as text. */

import type { MessageInitShape } from '@bufbuild/protobuf';
import type { LatencySchema, ReportSchema } from '../../../gen/llmservingsim/v1/report_pb.js';
import type { LatencySummary } from '../../core/metrics/report.js';
import { jsonText } from '../../report/json.js';
import { resultJson } from '../../report/result-json.js';
import { perSecond, type Run } from '../../report/run.js';
import { instanceMessage } from './instances.js';

/** Percentiles in `simulation_json`, as `simulate --json` has them. */
export const PERCENTILES: readonly number[] = [90, 99];

export function reportMessage(run: Run): MessageInitShape<typeof ReportSchema> {
  const { report } = run;
  const { durationNs, completed, totalInputTokens, totalOutputTokens } = report;
  return {
    duration: durationNs / 1e9,
    completed,
    failed: report.aborted + report.rejected,
    totalInputTokens,
    totalOutputTokens,
    requestThroughput: perSecond(completed, durationNs),
    ...(report.good !== undefined && { requestGoodput: perSecond(report.good, durationNs) }),
    outputThroughput: perSecond(totalOutputTokens, durationNs),
    totalTokenThroughput: perSecond(totalInputTokens + totalOutputTokens, durationNs),
    ttft: latency(report.ttft),
    tpot: latency(report.tpot),
    itl: latency(report.itl),
    e2el: latency(report.e2el),
    simulationJson: jsonText(resultJson(run).simulation),
    instances: report.instances.map(instanceMessage),
  };
}

const latency = (summary: LatencySummary): MessageInitShape<typeof LatencySchema> => ({
  meanMs: summary.meanMs,
  medianMs: summary.quantileMs(0.5),
  stdMs: summary.stdMs,
  p90Ms: summary.quantileMs(0.9),
  p99Ms: summary.quantileMs(0.99),
});
