/**
 * What proposing drafts costs, beside verifying them, which a step's shape counts.
 *
 *   ngram         the CPU looks the newest tokens up among those before them, sequence by sequence
 *   draft_model   k passes of a small model, one after the other, on the same GPUs
 *   eagle, mtp    k passes of one layer of the model itself, and of its LM head
 *
 * The first pass takes every token of the step, prompts included, since whoever drafts keeps KV of its
 * own; the others take one token of each sequence (vLLM v1, `spec_decode/eagle.py`). A pass is made of
 * the operators of any step, so it is never faster than FLOP/peak or bytes/bandwidth, and affine in
 * context. Its weights and its KV lie in the same memory (`kv-capacity.ts`).
 */

import { ConfigError } from '../errors.js';
import type { ModelShape } from '../model/model-shape.js';
import { checkLayout } from '../model/parallelism.js';
import type { SpeculationSpec, SpeculativeMethod } from '../scenario.js';
import type { Bytes, Seconds } from '../units.js';
import { kvBytesPerToken, weightBytes } from './kv-capacity.js';
import { type Deployment, headOperators, layerOperators } from './layers.js';
import { gemm, type Operator } from './operator.js';
import { resolvePrecision } from './precision.js';

export interface Drafting {
  readonly method: SpeculativeMethod;
  /** k: drafts of a sequence and step, and passes. */
  readonly numDrafts: number;
  /** Who drafts, laid out; absent for `ngram`, which needs no GPU. */
  readonly drafter?: Drafter;
}

export interface Drafter {
  readonly deployment: Deployment;
  /** Hidden states that are joined to the input of each pass: a projection of so many widths to one; 0: none. */
  readonly numJoined: number;
  /** Tokens a sequence has in the first pass beyond those of the step: a draft model reads the newest one too. */
  readonly furtherTokens: 0 | 1;
  /** Of one GPU, beside those of the model it drafts for. */
  readonly weightBytes: Bytes;
  readonly kvBytesPerToken: Bytes;
}

/**
 * Looking drafts up, on the CPU: slicing and handing over for a sequence, and reading its tokens once
 * (Knuth–Morris–Pratt). Assumed, in order of magnitude: nobody publishes them.
 */
export const NGRAM_SECONDS_PER_SEQUENCE: Seconds = 10e-6;
export const NGRAM_SECONDS_PER_TOKEN: Seconds = 1e-9;

/** @throws {ConfigError} for a draft model that cannot be laid out so */
export function draftingOf(target: Deployment, spec: SpeculationSpec): Drafting {
  const { method, numSpeculativeTokens: numDrafts } = spec;
  if (method === 'ngram') return { method, numDrafts };
  checkDraftGpus(spec, target.layout.tp);
  const drafter = spec.draft ? draftModel(target, spec.draft, spec) : oneLayer(target, method);
  return { method, numDrafts, drafter };
}

/** As in vLLM: every GPU holds all of the drafter, or its part of it. */
function checkDraftGpus({ draftTensorParallelSize: given }: SpeculationSpec, tp: number): void {
  if (given === undefined || given === 1 || given === tp) return;
  const sizes = tp === 1 ? '1' : `1 or ${tp}, the tensor-parallel size`;
  throw new ConfigError('--speculative-config', `draft_tensor_parallel_size of ${sizes}`, given);
}

function draftModel(target: Deployment, model: ModelShape, spec: SpeculationSpec): Drafter {
  const tp = spec.draftTensorParallelSize ?? target.layout.tp;
  const layout = { tp, pp: 1, dp: 1, expertParallel: false };
  try {
    checkLayout(model, layout);
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause;
    const { expected, hint } = cause;
    throw new ConfigError('--speculative-config', `${expected} as draft GPUs`, tp, hint);
  }
  const precision = resolvePrecision(model, target.gpu, target.efficiency, {
    kvCacheDtype: target.precision.bytesPerKv === 1 ? 'fp8' : 'auto',
  });
  const { routing: _ofItsExperts, ...rest } = target;
  const deployment = { ...rest, model, layout, precision };
  return {
    deployment,
    numJoined: 0,
    furtherTokens: 1,
    weightBytes: weightBytes(deployment),
    kvBytesPerToken: kvBytesPerToken(deployment),
  };
}

/**
 * A layer like the target's, fed with its hidden states: of one layer beside the embedding (EAGLE, Li et
 * al. 2024; MTP, DeepSeek-V3 report), or of three (EAGLE-3). MTP modules are stored as the model is and
 * keep its experts; EAGLE's are dense, in 16 bits. Embedding and LM head are the target's own.
 */
function oneLayer(target: Deployment, method: SpeculativeMethod): Drafter {
  const { slidingWindow: _, linearAttention: __, moe, ...shape } = target.model;
  const model: ModelShape = {
    ...shape,
    numLayers: 1,
    numOtherParameters: shape.numOtherParameters / shape.numLayers,
    ...(method === 'mtp' && moe && { moe: { ...moe, numLayers: 1 } }),
  };
  const { plain } = target.precision;
  const precision =
    method === 'mtp'
      ? target.precision
      : { ...target.precision, linear: plain, attention: plain, experts: plain };
  const expertParallel = target.layout.expertParallel && model.moe !== undefined;
  const layout = { ...target.layout, pp: 1, expertParallel };
  const deployment = { ...target, model, layout, precision };
  const numJoined = method === 'eagle3' ? 3 : 2;
  const joining = numJoined * model.hiddenSize ** 2 * plain.bytesPerWeight;
  return {
    deployment,
    numJoined,
    furtherTokens: 0,
    weightBytes: weightBytes({ ...deployment, model: { ...model, vocabSize: 0 } }) + joining,
    kvBytesPerToken: kvBytesPerToken(deployment),
  };
}

/** Operators of a pass that depend on its number of tokens alone. */
export function passOperators({ deployment, numJoined }: Drafter, tokens: number): Operator[] {
  const { model, precision } = deployment;
  const operators = layerOperators(deployment, tokens);
  if (numJoined === 0) return operators;
  const { hiddenSize } = model;
  const shape = { rows: tokens, columns: hiddenSize, inner: numJoined * hiddenSize };
  return [gemm(deployment, 'joining hidden states', 1, shape, precision.plain), ...operators];
}

/** LM head and choice of a draft for each sequence. */
export const draftHeadOperators = ({ deployment }: Drafter, sequences: number): Operator[] =>
  headOperators(deployment, sequences);
