/**
 * A step taken apart: operator by operator, what it computes and moves, what bounds it, and which
 * constants its time came from. The rows add up to the step.
 */

import type { StepCost, StepShape } from '../engine.js';
import { numAttentionLayers } from '../model/model-shape.js';
import type { Seconds } from '../units.js';
import { attentionCost } from './attention.js';
import { type Deployment, headOperators, layerOperators, stageOperators } from './layers.js';
import type { Bound } from './operator.js';
import { stepSeconds } from './step-cost.js';

export interface StepRow {
  readonly name: string;
  readonly count: number;
  /** Of the whole step, on one GPU. */
  readonly flop: number;
  readonly bytes: number;
  readonly linkBytes: number;
  readonly seconds: Seconds;
  readonly bound: Bound | 'host';
  /** Time at the data sheet's ceilings over time taken, in [0, 1]; 0 where there is no ceiling. */
  readonly efficiency: number;
  readonly constants: readonly string[];
}

export interface StepExplanation {
  readonly rows: readonly StepRow[];
  readonly seconds: Seconds;
  /** What most of the time goes to. */
  readonly bottleneck: StepRow;
}

/** What is explained: a `ResolvedPool`, or its deployment and cost. */
export interface Explainable {
  readonly deployment: Deployment;
  readonly cost: StepCost;
}

/** With pipeline stages: what a batch costs in all of them together. */
export function explainStep(resolved: Explainable, shape: StepShape): StepExplanation {
  const d = resolved.deployment;
  const drafts = shape.draftTokens ?? 0;
  const tokens = shape.prefillTokens + shape.numDecodes + drafts;
  const layers = layerOperators(d, tokens, shape.otherTokens);
  const head = headOperators(d, shape.numSampled + drafts);
  const rows = [...layers, ...stageOperators(d, tokens), ...head].map((op) => ({
    name: op.name,
    count: op.count,
    flop: op.count * op.flop,
    bytes: op.count * op.bytes,
    linkBytes: op.count * op.linkBytes,
    seconds: op.count * op.seconds,
    bound: op.bound,
    efficiency: ideal(d, op) / op.seconds,
    constants: op.constants,
  }));
  const all: StepRow[] = [...rows, ...attentionRows(d, shape), ...hostRows(d, shape)].filter(
    (row) => row.seconds > 0,
  );
  const seconds = stepSeconds(resolved.cost, shape);
  const rest = seconds - all.reduce((sum, row) => sum + row.seconds, 0);
  if (rest > 1e-3 * seconds)
    all.push(
      plain('launching layer by layer (dispatch floor)', d.model.numLayers, rest, 'host', [
        'dispatch_s_per_layer',
      ]),
    );
  const bottleneck = all.reduce((a, b) => (b.seconds > a.seconds ? b : a));
  return { rows: all, seconds, bottleneck };
}

function ideal(
  d: Deployment,
  op: { flop: number; bytes: number; linkBytes: number; peak: number },
): Seconds {
  return Math.max(
    op.peak > 0 ? op.flop / op.peak : 0,
    op.bytes / d.gpu.memoryBytesPerS,
    op.linkBytes / d.gpu.link.bytesPerS,
  );
}

function attentionRows(d: Deployment, shape: StepShape): StepRow[] {
  const a = attentionCost(d);
  const layers = numAttentionLayers(d.model);
  const { work } = a;
  const peak = d.precision.plain.peak;
  const rows: StepRow[] = [
    plain('attention launches', layers, a.step, 'latency', ['attention_seconds']),
  ];
  if (shape.numDecodes > 0) {
    const bytes =
      shape.decodeContext * work.kvBytesPerToken +
      shape.decodeWindowContext * work.windowKvBytesPerToken +
      shape.numDecodes * work.stateBytes;
    const seconds =
      shape.decodeContext * a.context +
      shape.decodeWindowContext * a.window +
      shape.numDecodes * a.sequence;
    rows.push({
      ...plain('decode attention', layers, seconds, 'memory', [
        'kv_memory',
        'attention_sequence_seconds',
      ]),
      bytes,
      efficiency: bytes / d.gpu.memoryBytesPerS / seconds,
    });
  }
  if (shape.prefillTokens > 0) {
    const flop =
      shape.prefillPairs * work.flopPerPair + shape.prefillWindowPairs * work.windowFlopPerPair;
    const bytes = shape.prefillHistory * work.kvBytesPerToken;
    const seconds =
      shape.prefillTokens * a.token +
      shape.prefillPairs * a.pair +
      shape.prefillWindowPairs * a.windowPair +
      shape.prefillHistory * a.history;
    rows.push({
      ...plain('prefill attention', layers, seconds, 'compute', [
        'attention_compute',
        'attention_diagonal_pairs',
      ]),
      flop,
      bytes,
      efficiency: flop / peak / seconds,
    });
  }
  return rows;
}

const hostRows = ({ engine }: Deployment, shape: StepShape): StepRow[] => [
  plain('scheduling and launch (CPU)', 1, engine.hostSecondsPerStep, 'host', ['host_s_per_step']),
  plain(
    'per sequence (CPU)',
    shape.numSampled,
    engine.hostSecondsPerSequence * shape.numSampled,
    'host',
    ['host_s_per_sequence'],
  ),
];

const plain = (
  name: string,
  count: number,
  seconds: Seconds,
  bound: StepRow['bound'],
  constants: readonly string[],
): StepRow => ({
  name,
  count,
  flop: 0,
  bytes: 0,
  linkBytes: 0,
  seconds,
  bound,
  efficiency: 0,
  constants,
});
