/**
 * The operators of a step with measured times where a table has them, and the formula's where not.
 *
 * The list stays that of `layers.ts`; an operator that was measured keeps its row, its FLOP and its
 * bytes, and takes its time from the table, but never less than physics allows (`floorSeconds`).
 */

import type { Seconds } from '../../units.js';
import { AxisValues } from '../axis-values.js';
import { allReduce } from '../collectives.js';
import { KNOTS } from '../knots.js';
import { type Deployment, headOperators, layerOperators, ownOperators } from '../layers.js';
import { LazyTable } from '../lazy-table.js';
import { routingOf } from '../moe.js';
import { ceilingSeconds, latency, type Operator, type Source } from '../operator.js';
import { sharesExperts, total } from '../step-cost.js';
import {
  axesOf,
  type MeasuredPoint,
  OPERATORS,
  type OperatorId,
  type PerfTable,
} from './perf-table.js';
import { RatioGrid } from './ratio-grid.js';

/** Rows of the analytic model by what replaces them. */
const REPLACED = new Map<string, OperatorId>(
  (Object.keys(OPERATORS) as OperatorId[]).flatMap((id) =>
    OPERATORS[id].replaces.map((name) => [name, id] as const),
  ),
);

export class MeasuredOperators {
  /** All layers by a rank's own tokens, and the head by sequences. */
  readonly layerTable: LazyTable;
  readonly headTable: LazyTable;
  readonly #grids = new Map<OperatorId, RatioGrid>();
  readonly #embedding: EmbeddingTimes | undefined;

  constructor(
    readonly deployment: Deployment,
    /** The operators of a table that are of use here. */
    readonly used: PerfTable['operators'],
  ) {
    for (const [id, points] of used) {
      const axis = axesOf(id)[0]!;
      if (axis === 'prefill_tokens' || id === 'embedding') continue;
      this.#grids.set(
        id,
        new RatioGrid(points, (at) => analyticOperator(deployment, id, at[0]!).seconds),
      );
    }
    const embedding = used.get('embedding');
    this.#embedding = embedding && embeddingTimes(embedding);
    const layers = (m: number): readonly Operator[] =>
      sharesExperts(deployment) ? this.#timed(ownOperators(deployment, m), m) : this.layers(m);
    this.layerTable = new LazyTable((m) => total(layers(m)), this.#knots('layers'));
    this.headTable = new LazyTable((s) => total(this.head(s)), this.#knots('head'));
  }

  /** @param otherTokens of the other data-parallel ranks, whose experts are computed together */
  layers(tokens: number, otherTokens?: number): Operator[] {
    return this.#timed(layerOperators(this.deployment, tokens, otherTokens), tokens);
  }

  #timed(operators: readonly Operator[], tokens: number): Operator[] {
    const rows = operators.flatMap((op) => this.#measured(op, tokens));
    if (!this.#embedding || tokens === 0) return rows;
    const row = latency('embedding, final norm', 1, this.#embedding.table.at(tokens), []);
    return [
      ...rows,
      { ...row, source: tokens > this.#embedding.last ? 'extrapolated' : 'measured' },
    ];
  }

  head(sequences: number): Operator[] {
    return headOperators(this.deployment, sequences).flatMap((op) => this.#measured(op, sequences));
  }

  #measured(op: Operator, x: number): Operator[] {
    const id = REPLACED.get(op.name);
    const grid = id && this.#grids.get(id);
    if (!id || !grid) return [op];
    if (op.name === 'further norms') return []; // Part of what is measured as element-wise.
    const at = Float64Array.from(pointOf(this.deployment, id, x));
    const ratio = grid.ratio(at);
    const source: Source = grid.covers(at) ? 'measured' : 'extrapolated';
    const formula = id === 'elementwise' ? elementwiseSeconds(this.deployment, x) : op.seconds;
    const seconds = Math.max(floorSeconds(this.deployment, op), ratio * formula);
    return [{ ...op, seconds, constants: [], source }];
  }

  /** Where the sum over operators may bend. */
  #knots(part: 'layers' | 'head'): AxisValues {
    const knots = [...KNOTS];
    for (const [id, points] of this.used) {
      const axis = axesOf(id)[0]!;
      const isHead = axis === 'sequences';
      if (axis === 'prefill_tokens' || isHead !== (part === 'head')) continue;
      const unit = axis === 'bytes' ? this.deployment.model.hiddenSize * 2 : 1;
      for (const { at } of points) knots.push(at[0]! / unit);
    }
    return new AxisValues(knots);
  }
}

interface EmbeddingTimes {
  readonly table: LazyTable;
  readonly last: number;
}

/** The model has no formula for it: linear between points, and below the first as at the first. */
function embeddingTimes(points: readonly MeasuredPoint[]): EmbeddingTimes {
  const times = new Map(points.map(({ at, seconds }) => [at[0]!, seconds] as const));
  const first = points.reduce((a, b) => (b.at[0]! < a.at[0]! ? b : a));
  times.set(0, first.seconds);
  return {
    table: new LazyTable((x) => times.get(x)!, new AxisValues(times.keys())),
    last: Math.max(...times.keys()),
  };
}

/** Where a step of `x` tokens or sequences lies along an operator's axes. */
export function pointOf(d: Deployment, id: OperatorId, x: number): number[] {
  if (id === 'all_reduce') return [x * d.model.hiddenSize * 2];
  return id === 'routed_experts' ? [x, routingOf(d).inAll(x).touched] : [x];
}

/** The operator as the formulas have it, at the first of its axes; its time above 0. */
export function analyticOperator(d: Deployment, id: OperatorId, x: number): Operator {
  if (id === 'all_reduce') return allReduce(d, 'all-reduce', 1, x, d.layout.tp);
  const isHead = axesOf(id)[0] === 'sequences';
  const all = isHead ? headOperators(d, x) : layerOperators(d, x);
  const names: readonly string[] = OPERATORS[id].replaces;
  const op = all.find(({ name }) => names.includes(name))!;
  return id === 'elementwise' ? { ...op, seconds: elementwiseSeconds(d, x) } : op;
}

/** All element-wise rows of a layer together, which is what profilers measure kernel by kernel. */
function elementwiseSeconds(d: Deployment, tokens: number): Seconds {
  const names: readonly string[] = OPERATORS.elementwise.replaces;
  return layerOperators(d, tokens)
    .filter(({ name }) => names.includes(name))
    .reduce((sum, { seconds }) => sum + seconds, 0);
}

/**
 * Seconds below which no hardware could run it: FLOP/peak, and weights or messages over their bandwidth.
 * What only moves activations may find them in a cache, and has no such bound.
 */
export const floorSeconds = (d: Deployment, op: Operator): Seconds =>
  op.peak > 0 || op.linkBytes > 0 ? ceilingSeconds(d, op) : 0;

/** Whether the model has a row that a table's operator would stand for. */
export const hasOperator = (d: Deployment, id: OperatorId): boolean => {
  const names: readonly string[] = OPERATORS[id].replaces;
  const all = [...layerOperators(d, 1), ...headOperators(d, 1)];
  return all.some(({ name }) => names.includes(name));
};
