/**
 * A fit to what was observed: steps are computed, requests are simulated at their own times. Every
 * second observation is held back, and says how good the fit is.
 */

import type { Coefficients } from '../../core/perf/calibration.js';
import { calibratedPool, IDENTITY } from '../../core/perf/calibration.js';
import { fitCoefficients, type Residuals, residuals } from '../../core/perf/calibration-fit.js';
import type { ErrorMetric } from '../../core/perf/expected-error.js';
import { inputTimesOf, type ResolvedPool } from '../../core/perf/resolve.js';
import { stepSeconds } from '../../core/perf/step-cost.js';
import { simulate } from '../../core/simulate.js';
import { ClosedLoop } from '../../core/workload/closed-loop.js';
import type { Workload } from '../../core/workload/workload.js';
import { instancesOf } from '../compose.js';
import type { Observed, ObservedRequest, ObservedStep } from './observed.js';

export interface ResidualRow {
  /** What was compared. */
  readonly label: 'step time' | 'TTFT' | 'TPOT';
  /** Whose error it says something about. */
  readonly metric: ErrorMetric;
  readonly half: 'fitted' | 'held back';
  readonly before: Residuals;
  readonly after: Residuals;
}

export interface Fitted {
  readonly coefficients: Coefficients;
  readonly residuals: readonly ResidualRow[];
}

export interface FitObservedOptions {
  readonly pool: ResolvedPool;
  readonly observed: Observed;
  readonly router: string;
  readonly seed: number;
  /** Told before each simulation; returns true to stop where it stands. */
  readonly progress?: (done: number, most: number) => boolean;
}

const OF_STEPS = [
  'stepOffsetSeconds',
  'perSequenceSeconds',
  'bandwidthFactor',
  'flopFactor',
] as const;

export function fitObserved(options: FitObservedOptions): Fitted {
  const { pool, observed, progress } = options;
  const steps = observed.kind === 'steps';
  // Observations come in groups that are fitted or held back together: a step, or a request's TTFT and TPOT.
  const size = steps ? 1 : 2;
  const isFitted = (i: number) => Math.floor(i / size) % 2 === 0;
  const logErrors = (c: Coefficients): Float64Array => {
    const calibrated = calibratedPool(pool, c);
    return observed.kind === 'steps'
      ? stepErrors(calibrated, observed.steps)
      : requestErrors(calibrated, observed.requests, observed.maxConcurrency, options);
  };
  const knowsLatency = !steps && pool.spec.options.inputLatencyMs === undefined;
  const free = knowsLatency ? [...OF_STEPS, 'inputLatencySeconds' as const] : OF_STEPS;
  const coefficients = fitCoefficients({
    logErrors,
    isFitted,
    free,
    ...(progress && { progress }),
  });
  const [before, after] = [logErrors(IDENTITY), logErrors(coefficients)];
  const kinds = steps
    ? ([['step time', 'tpot']] as const)
    : ([
        ['TTFT', 'ttft'],
        ['TPOT', 'tpot'],
      ] as const);
  const rows = kinds.flatMap(([label, metric], kind) =>
    (['fitted', 'held back'] as const).flatMap((half): ResidualRow[] => {
      const includes = (i: number) => i % size === kind && isFitted(i) === (half === 'fitted');
      const [was, is] = [residuals(before, includes), residuals(after, includes)];
      return was && is ? [{ label, metric, half, before: was, after: is }] : [];
    }),
  );
  return { coefficients, residuals: rows };
}

const stepErrors = ({ cost }: ResolvedPool, steps: readonly ObservedStep[]): Float64Array =>
  Float64Array.from(steps, ({ shape, durationMs }) =>
    Math.log((stepSeconds(cost, shape) * 1e3) / durationMs),
  );

/** Of each request its TTFT and its TPOT, in this order. */
function requestErrors(
  pool: ResolvedPool,
  requests: readonly ObservedRequest[],
  maxConcurrency: number | undefined,
  { router, seed }: Pick<FitObservedOptions, 'router' | 'seed'>,
): Float64Array {
  const errors = new Float64Array(2 * requests.length).fill(Number.NaN);
  const load = loadOf(requests);
  simulate({
    instances: instancesOf(pool, 0),
    router,
    seed,
    ...inputTimesOf(pool),
    workload: maxConcurrency === undefined ? load : new ClosedLoop(load, maxConcurrency),
    tracers: [
      {
        requestFinish({ index, arrivedAt, firstTokenAt, lastTokenAt, outputTokens }) {
          const { ttftMs, tpotMs, outputTokens: wanted } = requests[index]!;
          if (firstTokenAt === undefined || lastTokenAt === undefined) return;
          errors[2 * index] = Math.log((firstTokenAt - arrivedAt) / 1e6 / ttftMs);
          if (tpotMs === undefined || tpotMs <= 0 || outputTokens !== wanted || wanted < 2) return;
          const tpot = (lastTokenAt - firstTokenAt) / 1e6 / (wanted - 1);
          errors[2 * index + 1] = Math.log(tpot / tpotMs);
        },
      },
    ],
  });
  return errors;
}

function loadOf(requests: readonly ObservedRequest[]): Workload {
  let next = 0;
  return {
    numRequests: requests.length,
    next() {
      const request = requests[next++];
      if (!request) return undefined;
      const { at, promptTokens, outputTokens } = request;
      return { at, spec: { promptTokens, maxTokens: outputTokens } };
    },
  };
}
