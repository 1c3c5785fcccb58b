/** How far predictions are from what was measured, row by row. */

import type { Case, Comparison } from './case.js';
import type { Model } from './parameters.js';
import { replay } from './replay.js';

export interface Residual {
  readonly case: Case;
  readonly comparison: Comparison;
  readonly predicted: number;
  /** ln(predicted / measured). */
  readonly log: number;
}

export interface Simulated {
  readonly residuals: readonly Residual[];
  /** Rows that were not simulated after all, by reason. */
  readonly refused: ReadonlyMap<string, number>;
}

/** @param progress hears of every case before it is simulated. */
export function simulate(
  cases: readonly Case[],
  model: Model,
  values: readonly number[],
  progress: (done: number) => void = () => {},
): Simulated {
  const cache = new Map<string, ReturnType<Model['perfData']>>();
  const residuals: Residual[] = [];
  const refused = new Map<string, number>();
  const refuse = ({ source }: Case, why: string, rows: number): void => {
    const reason = `${source}: ${why}`;
    refused.set(reason, (refused.get(reason) ?? 0) + rows);
  };
  for (const [i, c] of cases.entries()) {
    progress(i);
    const data = cache.get(c.engine) ?? model.perfData(c.engine, values);
    cache.set(c.engine, data);
    const predictions = replay(c, data);
    if ('refused' in predictions) {
      refuse(c, predictions.refused, c.comparisons.length);
      continue;
    }
    for (const comparison of c.comparisons) {
      const predicted = predictions[comparison.measure];
      if (predicted !== undefined && predicted > 0) {
        const log = Math.log(predicted / comparison.measured);
        residuals.push({ case: c, comparison, predicted, log });
      } else refuse(c, `the simulation yields no ${comparison.metric}`, 1);
    }
  }
  return { residuals, refused };
}

/** Those that are refused yield nothing. */
export const residualsOf = (
  cases: readonly Case[],
  model: Model,
  values: readonly number[],
): readonly Residual[] => simulate(cases, model, values).residuals;
