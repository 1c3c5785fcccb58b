/**
 * What a fit may move: constants of the efficiency file, factors on them, and terms of engine
 * generations; each with how far from its start it may reasonably be.
 */

import { readFileSync } from 'node:fs';
import { dataPath } from '../../src/config/data-dir.js';
import { loadEfficiency, loadEngine } from '../../src/config/engines.js';
import type { EfficiencyData } from '../../src/core/perf/efficiency.js';
import {
  type EngineProfile,
  generationOf,
  type PerfData,
} from '../../src/core/perf/engine-profile.js';

export interface Parameter {
  /** `constant.gemmCompute16`, `factor.2.gemmCompute16`, `engine.vllm@0.8.hostSecondsPerStep`. */
  readonly name: string;
  readonly start: number;
  /** What it would be without these measurements. */
  readonly prior: number;
  /** Standard deviation of the logarithm: the prior. */
  readonly sigma: number;
  readonly max: number;
}

const CONSTANTS: Readonly<Record<string, readonly [sigma: number, max: number]>> = {
  gemmCompute16: [0.05, 1],
  gemmCompute8: [0.06, 1],
  gemmCompute4: [0.12, 1],
  gemmComputeBlock8: [0.06, 1],
  expertComputeWeightOnly: [0.15, 1],
  gemmMemory16: [0.03, 1],
  gemmMemory8: [0.05, 1],
  gemmMemory4: [0.1, 1],
  gemmSoftness: [0.15, 10],
  layerSeconds: [0.4, 1],
  expertDispatch: [0.7, 5],
  latentDispatch: [0.7, 5],
  quantSeconds: [0.5, 1],
  normSeconds: [0.5, 1],
  kvMemory: [0.04, 1],
  attentionSeconds: [0.3, 1],
  attentionSequenceSeconds: [0.5, 1],
  attentionCompute: [0.15, 1],
  barrierSeconds: [0.7, 1],
  linkFraction: [0.15, 1],
  ncclLinkFraction: [0.06, 1],
  moeMemory: [0.1, 1],
  moeCompute: [0.15, 1],
  moePadRows: [0.4, 1000],
  manyMoeCompute: [0.15, 1],
  manyMoePadRows: [0.4, 1000],
  moeSeconds: [0.5, 1],
  latentAttentionLatencySeconds: [0.5, 1],
};

/** Two generations of one code: their terms, but for some, go the same way from their priors. */
interface Kinship {
  readonly generations: readonly [string, string];
  readonly sigma: number;
  readonly except?: readonly string[];
}

/** Factors of one override that go the same way: what keeps hardware from its data sheet in one precision does so in others. */
interface Likeness {
  readonly factors: readonly string[];
  readonly sigma: number;
}

const {
  values: PRIORS,
  links: KINSHIPS,
  alike: LIKENESSES,
} = JSON.parse(readFileSync(dataPath('benchmarks', 'fidelity', 'priors.json'), 'utf8')) as {
  values: Readonly<Record<string, number>>;
  links: readonly Kinship[];
  alike: readonly Likeness[];
};

/** Values of overrides that operator tables say something about. */
const VALUES: Readonly<Record<string, readonly [sigma: number, max: number]>> = {
  switchLinkFraction: [0.06, 1],
};

/** Factors that are known well beforehand: left alone, steps say so little of this one that it went beyond the bandwidth. */
const FACTORS: Readonly<Record<string, readonly [sigma: number, max: number]>> = {
  kvMemory: [0.05, 1],
};

const ENGINE_TERMS: Readonly<Record<string, readonly [sigma: number, max: number]>> = {
  hostSecondsPerStep: [0.4, 1],
  hostSecondsPerSequence: [0.6, 1],
  hostSecondsPerWorker: [0.6, 1],
  hostSecondsPerContextToken: [0.6, 1],
  layerFactor: [0.2, 5],
  softnessFactor: [0.25, 5],
  dispatchSecondsPerLayer: [0.3, 1],
  inputLatencySeconds: [0.6, 1],
  tokenizingSecondsPerToken: [0.8, 1],
  smallExpertMemory: [0.25, 1],
  smallExpertSeconds: [0.5, 1],
  samplingBytesPerLogit: [0.7, 5000],
};

/** Two parameters, by index, and the standard deviation of what their logarithms differ from their priors by. */
export interface Link {
  readonly between: readonly [number, number];
  readonly sigma: number;
}

const pairsOf = <T>(items: readonly T[]): (readonly [T, T])[] =>
  items.flatMap((a, i) => items.slice(i + 1).map((b) => [a, b] as const));

export class Model {
  readonly parameters: readonly Parameter[];
  readonly links: readonly Link[];
  readonly #efficiency: EfficiencyData = loadEfficiency();
  readonly #engines = new Map<string, EngineProfile>();

  /** @param engines specs of the engines that the cases run on. */
  constructor(engines: readonly string[]) {
    const result: Parameter[] = [];
    const add = (name: string, start: number, [sigma, max]: readonly [number, number]): void => {
      const prior = PRIORS[name] ?? (name.startsWith('factor.') ? 1 : start);
      if (start > 0) result.push({ name, start, prior, sigma, max });
    };
    for (const [name, prior] of Object.entries(CONSTANTS)) {
      add(`constant.${name}`, this.#efficiency.constants[name as 'gemmCompute16'], prior);
    }
    this.#efficiency.overrides.forEach((override, i) => {
      if (override.gpus) return;
      for (const [name, value] of Object.entries(override.values ?? {}))
        add(`value.${i}.${name}`, value, VALUES[name] ?? [2, 1]);
      for (const [name, value] of Object.entries(override.factors))
        add(`factor.${i}.${name}`, value, FACTORS[name] ?? [0.5, 10]);
    });
    const generations = new Map<string, EngineProfile>();
    for (const spec of engines) {
      const profile = loadEngine(spec);
      this.#engines.set(spec, profile);
      generations.set(generationOf(profile), profile);
    }
    for (const [key, profile] of generations) {
      for (const [name, prior] of Object.entries(ENGINE_TERMS)) {
        // The newest generation of the first engine is what the constants are of.
        if (name === 'layerFactor' && profile.layerFactor === 1) continue;
        if (name === 'softnessFactor' && profile.softnessFactor === 1) continue;
        add(`engine.${key}.${name}`, profile[name as 'hostSecondsPerStep'], prior);
      }
    }
    this.parameters = result;
    const link = (a: string, b: string, sigma: number): Link => ({
      between: [result.findIndex((p) => p.name === a), result.findIndex((p) => p.name === b)],
      sigma,
    });
    const kin = KINSHIPS.flatMap(({ generations: [a, b], sigma, except = [] }) =>
      Object.keys(ENGINE_TERMS)
        .filter((term) => !except.includes(term))
        .map((term) => link(`engine.${a}.${term}`, `engine.${b}.${term}`, sigma)),
    );
    const alike = LIKENESSES.flatMap(({ factors, sigma }) =>
      this.#efficiency.overrides.flatMap((_, i) =>
        pairsOf(factors).map(([a, b]) => link(`factor.${i}.${a}`, `factor.${i}.${b}`, sigma)),
      ),
    );
    this.links = [...kin, ...alike].filter(({ between }) => !between.includes(-1));
  }

  /** Constants for `engine` with the parameters moved to `values`. */
  perfData(engine: string, values: readonly number[]): PerfData {
    const moved = new Map(this.parameters.map((p, i) => [p.name, values[i]!]));
    const constants: Record<string, number> = { ...this.#efficiency.constants };
    for (const name of Object.keys(CONSTANTS))
      constants[name] = moved.get(`constant.${name}`) ?? constants[name]!;
    const overrides = this.#efficiency.overrides.map((override, i) => ({
      ...override,
      factors: Object.fromEntries(
        Object.entries(override.factors).map(([name, value]) => [
          name,
          moved.get(`factor.${i}.${name}`) ?? value,
        ]),
      ),
    }));
    for (const [i, override] of overrides.entries()) {
      override.values = Object.fromEntries(
        Object.entries(override.values ?? {}).map(([name, value]) => [
          name,
          moved.get(`value.${i}.${name}`) ?? value,
        ]),
      );
    }
    const profile = this.#engines.get(engine)!;
    const terms = Object.keys(ENGINE_TERMS).map(
      (name) => [name, moved.get(`engine.${generationOf(profile)}.${name}`)] as const,
    );
    const fitted = Object.fromEntries(terms.filter(([, value]) => value !== undefined));
    return {
      engine: { ...profile, ...fitted },
      efficiency: {
        ...this.#efficiency,
        constants: constants as unknown as EfficiencyData['constants'],
        overrides,
      },
    };
  }
}
