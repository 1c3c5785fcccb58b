/**
 * The analytic model of a deployment as a table: a file to look at, to compare with, and to replace
 * piece by piece with what was measured.
 */

import { numAttentionLayers } from '../../model/model-shape.js';
import { attentionCost } from '../attention.js';
import { KNOTS } from '../knots.js';
import type { Deployment } from '../layers.js';
import { attentionSeconds } from './measured-attention.js';
import { analyticOperator, pointOf } from './measured-operators.js';
import {
  axesOf,
  type MeasuredPoint,
  OPERATOR_IDS,
  type OperatorId,
  type PerfTable,
  type PerfTableMeta,
} from './perf-table.js';
import { applies } from './tabled-pool.js';

/** How far the table reaches. */
export interface TableExtent {
  readonly tokens: number;
  readonly sequences: number;
  readonly context: number;
}

export function generateTable(d: Deployment, meta: PerfTableMeta, extent: TableExtent): PerfTable {
  const operators = new Map<OperatorId, readonly MeasuredPoint[]>();
  for (const id of OPERATOR_IDS) {
    if (id === 'step' || id === 'embedding' || !applies(d, id)) continue;
    operators.set(id, id === 'attention' ? attentionPoints(d, extent) : pointsOf(d, id, extent));
  }
  return { meta, operators };
}

function pointsOf(
  d: Deployment,
  id: OperatorId,
  { tokens, sequences }: TableExtent,
): MeasuredPoint[] {
  const axis = axesOf(id)[0]!;
  return sizesUpTo(axis === 'sequences' ? sequences : tokens).map((size) => {
    const at = pointOf(d, id, size);
    return { at, seconds: analyticOperator(d, id, at[0]!).seconds };
  });
}

/** The knots of the cost model, up to the first that covers `most`. */
function sizesUpTo(most: number): number[] {
  const sizes = [...KNOTS].filter((size) => size >= 1);
  const last = sizes.findIndex((size) => size >= most);
  return sizes.slice(0, last + 1);
}

/** Decodes alone, and one prompt alone: in the analytic model a mixed step is their sum. */
function attentionPoints(
  d: Deployment,
  { tokens, sequences, context }: TableExtent,
): MeasuredPoint[] {
  const layers = numAttentionLayers(d.model);
  const contexts = doubling(16, context);
  const decodes = doubling(1, sequences).flatMap((n) => contexts.map((c) => [0, n, 0, c]));
  const prompts = doubling(16, tokens).flatMap((chunk) =>
    [0, ...contexts].map((history) => [chunk, 0, history, 0]),
  );
  const cost = attentionCost(d);
  return [...decodes, ...prompts].map((at) => ({
    at,
    seconds: attentionSeconds(cost, at) / layers,
  }));
}

function doubling(first: number, most: number): number[] {
  const sizes = [first];
  while (sizes.at(-1)! < most) sizes.push(sizes.at(-1)! * 2);
  return sizes;
}
