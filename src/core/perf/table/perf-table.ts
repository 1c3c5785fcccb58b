/**
 * A table of measured operator times: what a profiler found for one model on one kind of GPU.
 *
 * Every row is one operator at one point of its axes. Times are of one run of the operator on one GPU
 * (of a layer, where layers have it); `step` is a whole forward pass instead, host included. The names
 * of operators and axes are those of the file (docs/tables.md).
 */

import type { Seconds } from '../../units.js';

interface OperatorKind {
  /** What its time depends on, in the order of `MeasuredPoint.at`. */
  readonly axes: readonly string[];
  /** Rows of the analytic model that it stands for; none: they have no row of their own. */
  readonly replaces: readonly string[];
  readonly about: string;
}

const TOKENS = ['tokens'];
/** Prompt tokens of the step, its decodes, tokens computed before the prompt tokens, mean context of a decode. */
const BATCH = ['prefill_tokens', 'num_decodes', 'prefill_history', 'decode_context'];

export const OPERATORS = {
  qkv_projection: { axes: TOKENS, replaces: ['QKV projection'], about: 'per layer' },
  output_projection: { axes: TOKENS, replaces: ['output projection'], about: 'per layer' },
  gate_up_projection: {
    axes: TOKENS,
    replaces: ['gate and up projection', 'up projection'],
    about: 'per layer with a dense MLP',
  },
  down_projection: {
    axes: TOKENS,
    replaces: ['down projection'],
    about: 'per layer with a dense MLP',
  },
  elementwise: {
    axes: TOKENS,
    replaces: ['norms, rotary, activation', 'further norms'],
    about: 'per layer: norms, rotary, activation and residual together',
  },
  embedding: { axes: TOKENS, replaces: [], about: 'once a step: embedding and final norm' },
  routed_experts: {
    axes: ['tokens', 'experts'],
    replaces: ['routed experts'],
    about: 'per layer with experts; experts: how many the tokens touch',
  },
  all_reduce: { axes: ['bytes'], replaces: ['all-reduce'], about: 'of a message of so many bytes' },
  lm_head: { axes: ['sequences'], replaces: ['LM head'], about: 'once a step' },
  sampling: { axes: ['sequences'], replaces: ['sampling'], about: 'once a step' },
  attention: { axes: BATCH, replaces: [], about: 'per layer, prefill and decodes together' },
  step: { axes: BATCH, replaces: [], about: 'the whole step; excludes every other operator' },
} as const satisfies Record<string, OperatorKind>;

export type OperatorId = keyof typeof OPERATORS;

export const OPERATOR_IDS = Object.keys(OPERATORS) as readonly OperatorId[];

export const axesOf = (id: OperatorId): readonly string[] => OPERATORS[id].axes;

/** Every axis there is, in the order of a file's columns. */
export const AXES = ['tokens', 'sequences', 'bytes', 'experts', ...BATCH] as const;

export interface MeasuredPoint {
  /** Along the operator's axes. */
  readonly at: readonly number[];
  readonly seconds: Seconds;
}

/** What was measured, in the words of the flags. */
export interface PerfTableMeta {
  readonly model: string;
  readonly hardware: string;
  readonly tensorParallelSize: number;
  readonly dtype: string;
  /** `none`, or a scheme of `--quantization`. */
  readonly quantization: string;
  /** `auto` or `fp8`. */
  readonly kvCacheDtype: string;
  /** Whose kernels: `vllm 0.19.0`, in any words. */
  readonly engine: string;
  /** Where the numbers come from, in a sentence. */
  readonly source: string;
}

export interface PerfTable {
  readonly meta: PerfTableMeta;
  readonly operators: ReadonlyMap<OperatorId, readonly MeasuredPoint[]>;
}

export const numPoints = ({ operators }: PerfTable): number =>
  [...operators.values()].reduce((sum, points) => sum + points.length, 0);

/** From the smallest to the largest value measured along an axis. */
export function rangeOf(points: readonly MeasuredPoint[], axis: number): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const { at } of points) {
    low = Math.min(low, at[axis]!);
    high = Math.max(high, at[axis]!);
  }
  return [low, high];
}
