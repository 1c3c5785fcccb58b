/** Several runs side by side: one row each, and why where one could not be. */

import { findingsOf } from './findings.js';
import { percent, short, table } from './format.js';
import { type Json, resultJson } from './result-json.js';
import { hardwareLabel, numGpus, perSecond, type Run } from './run.js';

/** What was varied, as the user spelled it, and what came of it. */
export interface Variant {
  readonly varied: { readonly [flag: string]: string };
  readonly outcome: Run | { readonly impossible: string };
}

const COLUMNS = ['GPUs', 'req/s', 'out tok/s', 'TTFT', 'p99', 'TPOT', 'p99', 'E2E', 'p99'];

export function comparisonTable(variants: readonly Variant[]): string {
  const flags = Object.keys(variants[0]?.varied ?? {});
  const withGoodput = variants.some(({ outcome }) => 'report' in outcome && outcome.slo);
  const header = [...flags, ...COLUMNS, 'busy', 'KV peak', ...(withGoodput ? ['good'] : [])];
  const reasons: string[] = [];
  const rows = variants.map(({ varied, outcome }) => {
    const names = flags.map((flag) => varied[flag]!);
    if ('report' in outcome) return [...names, ...cells(outcome, withGoodput)];
    if (!reasons.includes(outcome.impossible)) reasons.push(outcome.impossible);
    return [...names, '-', `(${reasons.indexOf(outcome.impossible) + 1})`];
  });
  const footnotes = reasons.map((reason, i) => `(${i + 1}) ${reason.replaceAll('\n', '\n    ')}`);
  const overloaded = variants.some(({ outcome }) => 'report' in outcome && isOverloaded(outcome));
  return `${[
    ...table([header, ...rows], flags.length),
    '',
    'Latencies in ms: mean and 99th percentile; TTFT and E2E from arrival, queueing included.',
    ...(overloaded
      ? ['*: arrivals exceed capacity; latencies measure the length of the load.']
      : []),
    ...footnotes,
  ].join('\n')}\n`;
}

const isOverloaded = (run: Run): boolean =>
  findingsOf(run).warnings.some((warning) => warning.startsWith('arrivals exceed'));

function cells(run: Run, withGoodput: boolean): string[] {
  const { report } = run;
  const findings = findingsOf(run);
  const latency = [report.ttft, report.tpot, report.e2el].flatMap((summary) => [
    short(summary.meanMs),
    short(summary.quantileMs(0.99)),
  ]);
  const good = report.completed > 0 ? (report.good ?? 0) / report.completed : 0;
  const mark = isOverloaded(run) ? '*' : '';
  return [
    String(numGpus(run)),
    `${short(perSecond(report.completed, report.durationNs))}${mark}`,
    short(perSecond(report.totalOutputTokens, report.durationNs)),
    ...latency,
    percent(findings.busyFraction),
    percent(findings.kvPeakFraction),
    ...(withGoodput ? [percent(good)] : []),
  ];
}

/** The same as JSON: a list of results, each with what was varied. */
export const comparisonJson = (variants: readonly Variant[]): Json => ({
  results: variants.map(({ varied, outcome }) =>
    'report' in outcome
      ? { varied, ...resultJson(outcome) }
      : { varied, error: outcome.impossible },
  ),
});

/** Title of a comparison: what did not vary. */
export function comparisonTitle(variants: readonly Variant[]): string {
  const runs = variants.map(({ outcome }) => outcome).filter((o): o is Run => 'report' in o);
  const unique = (label: (run: Run) => string) => [...new Set(runs.map(label))];
  const models = unique((run) => run.pools[0]!.spec.model.name);
  const hardware = unique((run) => hardwareLabel(run.pools[0]!));
  const parts = [models, hardware].filter((names) => names.length === 1).map(([name]) => name!);
  return parts.join(' on ');
}
