/** The constants a step's rows name, with the value they have here and how they were found. */

import type { EfficiencyData } from '../../core/perf/efficiency.js';
import type { StepExplanation } from '../../core/perf/explain.js';
import type { Deployment } from '../../core/perf/layers.js';
import type { MatrixPrecision } from '../../core/perf/precision.js';
import type { ResolvedPool } from '../../core/perf/resolve.js';

export interface ConstantSource {
  /** As the rows spell it. */
  readonly name: string;
  readonly value: number;
  readonly source: string;
}

/** Every constant of `step` once, in the order of the rows. */
export function constantSources(
  pool: ResolvedPool,
  step: StepExplanation,
  data: EfficiencyData,
): ConstantSource[] {
  const names = new Set(step.rows.flatMap(({ constants }) => constants));
  return [...names].map((name) => {
    const drafter = pool.drafting?.drafter?.deployment;
    const found =
      ofEngine(name, pool) ??
      ofMatrix(name, pool.deployment, data) ??
      (drafter && ofMatrix(name, drafter, data));
    const { value, source } = found ?? ofEfficiency(camel(name), pool.deployment, data);
    const fitted = pool.level === 'calibrated' ? `${source}; times this calibration` : source;
    return { name, value, source: fitted };
  });
}

type Found = Omit<ConstantSource, 'name'>;

function ofEngine(name: string, { engine, deployment }: ResolvedPool): Found | undefined {
  const e = deployment.engine;
  const values: Readonly<Record<string, number>> = {
    host_s_per_step: e.hostSecondsPerStep,
    host_s_per_worker: e.hostSecondsPerWorker,
    host_s_per_sequence: e.hostSecondsPerSequence,
    host_s_per_context_token: e.hostSecondsPerContextToken,
    layer_factor: e.layerFactor,
    dispatch_s_per_layer: e.dispatchSecondsPerLayer,
    sampling_bytes_per_logit: e.samplingBytesPerLogit,
  };
  const value = values[name];
  return value === undefined
    ? undefined
    : { value, source: `${engine.name} ${engine.since}+: ${engine.source}` };
}

/** `gemm_compute (bf16)`: a fraction that depends on the precision. */
function ofMatrix(name: string, d: Deployment, data: EfficiencyData): Found | undefined {
  const match = /^(gemm_compute|gemm_memory) \((.+)\)$/.exec(name);
  if (!match) return undefined;
  const [, kind, label] = match;
  const { linear, experts, plain } = d.precision;
  const matrix = [linear, experts, plain].find((p: MatrixPrecision) => p.label === label);
  if (!matrix) return undefined;
  const value = kind === 'gemm_compute' ? matrix.compute : matrix.memory;
  const efficiency = d.efficiency as unknown as Readonly<Record<string, number>>;
  const key = Object.keys(efficiency).find(
    (k) => k.startsWith(camel(kind!)) && efficiency[k] === value,
  );
  return key === undefined ? { value, source: 'the precision' } : ofEfficiency(key, d, data);
}

function ofEfficiency(key: string, d: Deployment, data: EfficiencyData): Found {
  const value = (d.efficiency as unknown as Readonly<Record<string, number>>)[key]!;
  const general = (data.constants as unknown as Readonly<Record<string, number>>)[key];
  const changed =
    value === general ? '' : `; ${general} in general, adjusted for this hardware or engine`;
  return { value, source: sourceOf(key, data) + changed };
}

const sourceOf = (key: string, data: EfficiencyData): string =>
  (data.sources as Readonly<Record<string, string>>)[key] ?? 'perf_model/efficiency/global.json';

const camel = (name: string): string =>
  name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
