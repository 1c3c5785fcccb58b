/**
 * What a run shows beyond its numbers: how busy the instances were, what bounded their steps, and what
 * the reader should be warned about.
 */

import type { InstanceReport } from '../core/metrics/report.js';
import { type SpeculationCounts, sumSpeculation } from '../core/metrics/speculation-stats.js';
import { explainKinds } from '../core/metrics/utilisation.js';
import type { ResolvedPool } from '../core/perf/resolve.js';
import { duration, grouped, percent, plural, short } from './format.js';
import { offeredRate, type Run, requestThroughput } from './run.js';

export interface Findings {
  /** Of the run's duration, the part during which a step was under way; the mean over instances. */
  readonly busyFraction: number;
  /** Part of the busy time without work: stages that wait for batches, ranks for slower ones. */
  readonly bubbleFraction?: number;
  readonly kvPeakFraction: number;
  readonly kvMeanFraction: number;
  readonly numPreemptions: number;
  /** Hit tokens over queried tokens; absent when nothing was looked up. */
  readonly prefixHitFraction?: number;
  /** What became of the drafts; absent without speculation. */
  readonly speculation?: SpeculationCounts;
  readonly meanRunning: number;
  readonly peakRunning: number;
  readonly meanWaiting: number;
  readonly peakWaiting: number;
  /** The mean step of the busiest instance; absent when nothing ran. */
  readonly step?: StepFindings;
  readonly warnings: readonly string[];
}

export interface StepFindings {
  readonly meanMs: number;
  /** Parts of the mean step by what bounds them, largest first; they add up to 1. */
  readonly bounds: readonly { readonly bound: string; readonly fraction: number }[];
  /** The operator most of the time goes to. */
  readonly operator: string;
  readonly operatorFraction: number;
  /** FLOP per second over the data sheet's, and bytes likewise, while a step runs. */
  readonly flopUtilization: number;
  readonly bandwidthUtilization: number;
}

export function findingsOf(run: Run): Findings {
  const { instances, durationNs } = run.report;
  const mean = (value: (i: InstanceReport) => number) =>
    instances.reduce((sum, i) => sum + value(i), 0) / Math.max(instances.length, 1);
  const sum = (value: (i: InstanceReport) => number) => mean(value) * instances.length;
  const peak = (value: (i: InstanceReport) => number) => Math.max(0, ...instances.map(value));
  const caching = run.pools.some((pool) => pool.scheduler.enablePrefixCaching);
  const queries = caching ? sum((i) => i.prefixQueries) : 0;
  const speculation = sumSpeculation(instances.map((i) => i.speculation));
  const busiest = instances.reduce<InstanceReport | undefined>(
    (a, b) => (a && a.busyNs >= b.busyNs ? a : b),
    undefined,
  );
  const findings: Findings = {
    busyFraction: durationNs > 0 ? mean((i) => i.busyNs) / durationNs : 0,
    ...bubbles(instances),
    kvPeakFraction: peak((i) => i.peakBlocksUsed / usableBlocks(i)),
    kvMeanFraction: mean((i) => i.meanBlocksUsed / usableBlocks(i)),
    numPreemptions: sum((i) => i.numPreemptions),
    ...(queries > 0 && { prefixHitFraction: sum((i) => i.prefixHits) / queries }),
    ...(speculation && { speculation }),
    meanRunning: mean((i) => i.meanRunning),
    peakRunning: peak((i) => i.peakRunning),
    meanWaiting: mean((i) => i.meanWaiting),
    peakWaiting: peak((i) => i.peakWaiting),
    ...(busiest &&
      busiest.numSteps > 0 && { step: stepFindings(run.pools[busiest.pool]!, busiest) }),
    warnings: [],
  };
  return { ...findings, warnings: warningsOf(run, findings) };
}

function bubbles(instances: readonly InstanceReport[]): Pick<Findings, 'bubbleFraction'> {
  let busyNs = 0;
  let workNs = 0;
  for (const instance of instances) {
    if (instance.workNs === undefined) continue;
    busyNs += instance.busyNs;
    workNs += instance.workNs;
  }
  return busyNs > 0 ? { bubbleFraction: Math.max(0, 1 - workNs / busyNs) } : {};
}

/** Block 0 is never used. */
const usableBlocks = ({ numBlocks }: InstanceReport): number => Math.max(1, numBlocks - 1);

/** Time that all batches took, each from its first stage to its last. */
const batchNs = ({ deployment }: ResolvedPool, { busyNs, workNs }: InstanceReport): number =>
  workNs === undefined ? busyNs : workNs * deployment.layout.pp;

function stepFindings(pool: ResolvedPool, instance: InstanceReport): StepFindings {
  const kinds = explainKinds(pool, instance);
  // Sums over all steps, by what bounds an operator and by operator.
  const bounds = new Map<string, number>();
  const operators = new Map<string, number>();
  const add = (sums: Map<string, number>, name: string, value: number) =>
    sums.set(name, (sums.get(name) ?? 0) + value);
  let [all, seconds, flop, bytes] = [0, 0, 0, 0];
  for (const { rows, numSteps, seconds: step } of kinds) {
    seconds += step * numSteps;
    for (const row of rows) {
      all += row.seconds * numSteps;
      flop += row.flop * numSteps;
      bytes += row.bytes * numSteps;
      add(bounds, row.bound, row.seconds * numSteps);
      add(operators, row.name, row.seconds * numSteps);
    }
  }
  const share = (sums: Map<string, number>) =>
    [...sums]
      .map(([name, s]) => ({ name, fraction: s / (all || 1) }))
      .sort((x, y) => y.fraction - x.fraction);
  const top = share(operators)[0]!;
  const { gpu, precision } = pool.deployment;
  return {
    meanMs: batchNs(pool, instance) / instance.numSteps / 1e6,
    bounds: share(bounds).map(({ name, fraction }) => ({ bound: name, fraction })),
    operator: top.name,
    operatorFraction: top.fraction,
    flopUtilization: flop / seconds / precision.linear.peak,
    bandwidthUtilization: bytes / seconds / gpu.memoryBytesPerS,
  };
}

/** Below this part of the offered rate, requests pile up rather than pass. */
const KEEPS_UP = 0.95;
/** The longest queueing that is still a fluctuation, as a part of the time over which requests arrive. */
const FLUCTUATION = 0.05;

function warningsOf(run: Run, findings: Findings): string[] {
  const { report, offered, load, slo } = run;
  const warnings: string[] = [];
  const rate = offeredRate(run);
  const throughput = requestThroughput(run);
  const worstMs = report.queue.maxMs;
  const open = load.maxConcurrency === undefined && rate < Infinity && !run.stopped;
  const late = worstMs * 1e6 > FLUCTUATION * offered.spanNs;
  if (open && throughput < KEEPS_UP * rate && late && findings.busyFraction > 0.9) {
    warnings.push(
      `arrivals exceed capacity: ${short(rate)} requests/s arrive, ${short(throughput)}/s complete. ` +
        `The queue grew to ${plural(findings.peakWaiting, 'request')} (${duration(worstMs)}), so latencies ` +
        'measure the length of the load, not the system. Lower the rate, or add instances.',
    );
  }
  if (report.rejected > 0) {
    const windows = [...new Set(run.pools.map((p) => p.scheduler.maxModelLen))];
    warnings.push(
      `${plural(report.rejected, 'request')} rejected: the prompt leaves no room in the context window ` +
        `(--max-model-len ${windows.map(grouped).join(', ')}).`,
    );
  }
  if (report.stuck) {
    warnings.push(
      `${plural(report.unfinished, 'request')} can never run: more KV is needed than the pool holds` +
        (run.pools.every((pool) => pool.scheduler.enableChunkedPrefill)
          ? '.'
          : ', or a prompt is longer than --max-num-batched-tokens and may not be cut.'),
    );
  }
  if (findings.numPreemptions > 0.01 * report.completed) {
    warnings.push(
      `${plural(findings.numPreemptions, 'preemption')}: KV ran out and work was computed again. ` +
        'Lower --max-num-seqs, or give KV more memory.',
    );
  }
  if (slo && report.completed > 0 && report.good === 0) {
    warnings.push(`no request met the goodput bounds; ${percent(1)} missed them.`);
  }
  return warnings;
}
