/**
 * What a table holds and how much it may be trusted: its ranges, where times fall as work grows, points
 * that no hardware could reach, and how far it is from the analytic model.
 */

import { quantileOf } from '../../metrics/quantiles.js';
import { numAttentionLayers } from '../../model/model-shape.js';
import { pairsOf } from '../../step-shape.js';
import type { Seconds } from '../../units.js';
import { attentionCost } from '../attention.js';
import type { Deployment } from '../layers.js';
import { AttentionFloor, attentionSeconds } from './measured-attention.js';
import { analyticOperator, floorSeconds } from './measured-operators.js';
import { MeasuredSteps } from './measured-steps.js';
import {
  axesOf,
  type MeasuredPoint,
  OPERATOR_IDS,
  type OperatorId,
  type PerfTable,
  rangeOf,
} from './perf-table.js';
import { applies } from './tabled-pool.js';

export interface AxisRange {
  readonly axis: string;
  readonly low: number;
  readonly high: number;
  /** Different values along it. */
  readonly count: number;
}

export interface OperatorCheck {
  readonly operator: OperatorId;
  /** Whether its times are used for this model and layout. */
  readonly used: boolean;
  readonly numPoints: number;
  readonly ranges: readonly AxisRange[];
  /** Neighbours along an axis, and how many of them are faster although they do more. */
  readonly numNeighbours: number;
  readonly numFalls: number;
  /** The largest of those falls, in percent. */
  readonly worstFallPercent: number;
  /** Points below FLOP/peak or bytes/bandwidth, which are raised to it. */
  readonly numFasterThanPhysics: number;
  /** Measured against analytic; absent where the model has no formula. */
  readonly difference?: Difference | undefined;
}

export interface Difference {
  /** Of measured / analytic − 1: absolute, and with its sign. */
  readonly medianPercent: number;
  readonly p90Percent: number;
  readonly biasPercent: number;
}

/** Analytic time and ceiling of one run of an operator. */
interface Reference {
  readonly formula: Seconds;
  readonly floor: Seconds;
}

export const checkTable = (d: Deployment, table: PerfTable): OperatorCheck[] =>
  OPERATOR_IDS.filter((id) => table.operators.has(id)).map((id) =>
    checkOperator(d, id, table.operators.get(id)!),
  );

function checkOperator(
  d: Deployment,
  id: OperatorId,
  points: readonly MeasuredPoint[],
): OperatorCheck {
  const used = applies(d, id);
  const reference = used && id !== 'embedding' ? referenceOf(d, id, points) : undefined;
  const references = reference && points.map(({ at }) => reference(at));
  const ratios = references?.map(({ formula }, i) => points[i]!.seconds / formula);
  return {
    operator: id,
    used,
    numPoints: points.length,
    ranges: axesOf(id).map((axis, i) => {
      const [low, high] = rangeOf(points, i);
      return { axis, low, high, count: new Set(points.map(({ at }) => at[i])).size };
    }),
    ...fallsOf(points),
    numFasterThanPhysics:
      references?.filter(({ floor }, i) => points[i]!.seconds < floor * (1 - 1e-9)).length ?? 0,
    difference: ratios && differenceOf(ratios),
  };
}

function referenceOf(
  d: Deployment,
  id: OperatorId,
  points: readonly MeasuredPoint[],
): (at: readonly number[]) => Reference {
  if (id === 'step') {
    const steps = new MeasuredSteps(d, points);
    return (at) => ({ formula: steps.formulaAt(at), floor: steps.floorAt(at) });
  }
  if (id === 'attention') {
    const layers = numAttentionLayers(d.model);
    const cost = attentionCost(d);
    const floor = new AttentionFloor(d);
    return (at) => {
      const [prefill = 0, decodes = 0, history = 0, context = 0] = at;
      return {
        formula: attentionSeconds(cost, at) / layers,
        floor: floor.at(decodes * context, pairsOf(prefill, history), history) / layers,
      };
    };
  }
  return ([x]) => {
    const op = analyticOperator(d, id, x!);
    return { formula: op.seconds, floor: floorSeconds(d, op) };
  };
}

function differenceOf(ratios: readonly number[]): Difference {
  const signed = Float64Array.from(ratios, (ratio) => (ratio - 1) * 100).sort();
  const absolute = signed.map(Math.abs).sort();
  return {
    medianPercent: quantileOf(absolute, 0.5),
    p90Percent: quantileOf(absolute, 0.9),
    biasPercent: quantileOf(signed, 0.5),
  };
}

/** Compares each point with its neighbour along every axis, the others being equal. */
function fallsOf(
  points: readonly MeasuredPoint[],
): Pick<OperatorCheck, 'numNeighbours' | 'numFalls' | 'worstFallPercent'> {
  let [numNeighbours, numFalls, worst] = [0, 0, 0];
  for (const axis of points[0]!.at.keys()) {
    for (const line of linesAlong(points, axis)) {
      for (let i = 1; i < line.length; i++) {
        const rise = line[i]!.seconds / line[i - 1]!.seconds - 1;
        numNeighbours++;
        if (rise >= 0) continue;
        numFalls++;
        worst = Math.max(worst, -rise * 100);
      }
    }
  }
  return { numNeighbours, numFalls, worstFallPercent: worst };
}

function linesAlong(points: readonly MeasuredPoint[], axis: number): MeasuredPoint[][] {
  const lines = new Map<string, MeasuredPoint[]>();
  for (const point of points) {
    const key = point.at.filter((_, i) => i !== axis).join(' ');
    const line = lines.get(key);
    if (line) line.push(point);
    else lines.set(key, [point]);
  }
  return [...lines.values()].map((line) => line.sort((a, b) => a.at[axis]! - b.at[axis]!));
}
