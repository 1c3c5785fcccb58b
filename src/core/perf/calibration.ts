/**
 * Calibration: a few coefficients that bring the analytic model to a real server.
 *
 * They act on what the model is computed from, not on its result: fractions of bandwidth and of FLOP
 * are multiplied and stay at most 1, times are added to and stay at least 0. So a calibrated step
 * keeps its closed form, can be explained, and is still never faster than FLOP/peak or
 * bytes/bandwidth.
 */

import { NS_PER_S, type Seconds } from '../units.js';
import type { Drafting } from './drafting.js';
import type { Efficiency } from './efficiency.js';
import type { ExpectedError } from './expected-error.js';
import type { Deployment } from './layers.js';
import type { MatrixPrecision } from './precision.js';
import type { ResolvedPool } from './resolve.js';
import { analyticCost } from './speculation.js';

export interface Coefficients {
  /** Added to every step: the host's part first, then the gaps between kernels. */
  readonly stepOffsetSeconds: Seconds;
  /** Added per sequence of a step. */
  readonly perSequenceSeconds: Seconds;
  /** Factors on the fractions of memory bandwidth and of FLOP/s that kernels reach. */
  readonly bandwidthFactor: number;
  readonly flopFactor: number;
  /** Added between arrival and the scheduler: HTTP, tokenising, network. */
  readonly inputLatencySeconds: Seconds;
}

export const IDENTITY: Coefficients = {
  stepOffsetSeconds: 0,
  perSequenceSeconds: 0,
  bandwidthFactor: 1,
  flopFactor: 1,
  inputLatencySeconds: 0,
};

/** What `--calibration` hands over. */
export interface Calibration {
  readonly coefficients: Coefficients;
  /** What it was fitted on: `qwen/Qwen3-8B on 2 × H100`. */
  readonly fittedOn: string;
  /** Residuals of the half that was held back. */
  readonly errors: readonly ExpectedError[];
}

/** `pool` with the times of a calibration. */
export function calibratedPool(pool: ResolvedPool, c: Coefficients): ResolvedPool {
  const deployment = calibratedDeployment(pool.deployment, c);
  const drafting = pool.drafting && calibratedDrafting(pool.drafting, c);
  const inputLatency = pool.inputLatencyNs + Math.round(c.inputLatencySeconds * NS_PER_S);
  return {
    ...pool,
    deployment,
    ...(drafting && { drafting }),
    cost: analyticCost(deployment, drafting),
    // Given on the command line it is a fact, not something to fit.
    inputLatencyNs:
      pool.spec.options.inputLatencyMs === undefined
        ? Math.max(0, inputLatency)
        : pool.inputLatencyNs,
    level: 'calibrated',
  };
}

/** Its kernels run on the same GPU; what the host adds to a step is counted once, with the model. */
function calibratedDrafting(drafting: Drafting, c: Coefficients): Drafting {
  const { drafter } = drafting;
  if (!drafter) return drafting;
  const kernels = { ...c, stepOffsetSeconds: 0, perSequenceSeconds: 0 };
  const deployment = calibratedDeployment(drafter.deployment, kernels);
  return { ...drafting, drafter: { ...drafter, deployment } };
}

const MEMORY = [
  'elementwiseMemory',
  'kvMemory',
  'moeMemory',
] as const satisfies (keyof Efficiency)[];
const COMPUTE = ['attentionCompute'] as const satisfies (keyof Efficiency)[];

export function calibratedDeployment(d: Deployment, c: Coefficients): Deployment {
  const { bandwidthFactor: memory, flopFactor: compute } = c;
  const { numLayers } = d.model;
  const matrix = (p: MatrixPrecision): MatrixPrecision => ({
    ...p,
    compute: fraction(p.compute * compute),
    memory: fraction(p.memory * memory),
  });
  const { linear, attention, experts, plain } = d.precision;
  const host = d.engine.hostSecondsPerStep + c.stepOffsetSeconds;
  // What is less than no host time is taken from the gaps between kernels.
  const layerSeconds =
    d.efficiency.layerSeconds * d.engine.layerFactor + Math.min(0, host) / numLayers;
  return {
    ...d,
    precision: {
      ...d.precision,
      linear: matrix(linear),
      attention: matrix(attention),
      experts: matrix(experts),
      plain: matrix(plain),
    },
    efficiency: {
      ...d.efficiency,
      ...scaled(d.efficiency, MEMORY, memory),
      ...scaled(d.efficiency, COMPUTE, compute),
      layerSeconds: Math.max(0, layerSeconds),
    },
    engine: {
      ...d.engine,
      layerFactor: 1,
      hostSecondsPerStep: Math.max(0, host),
      hostSecondsPerSequence: Math.max(0, d.engine.hostSecondsPerSequence + c.perSequenceSeconds),
    },
  };
}

const fraction = (value: number): number => Math.min(1, value);

const scaled = (
  efficiency: Efficiency,
  names: readonly (keyof Efficiency)[],
  factor: number,
): Partial<Efficiency> =>
  Object.fromEntries(names.map((name) => [name, fraction(efficiency[name] * factor)]));
