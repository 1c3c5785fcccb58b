/** How many, drawn: the distributions of a conversation generator file, under vLLM's names. */

import { ConfigError } from '../../core/errors.js';
import type { RandomStream } from '../../core/rng.js';

export type Draw = () => number;

type Spec = Readonly<Record<string, unknown>>;

/** @throws {ConfigError} naming the field */
export function distribution(value: unknown, where: string, chance: RandomStream): Draw {
  const spec = (value ?? {}) as Spec;
  const number = (field: string, least: number): number => {
    const given = spec[field];
    if (typeof given === 'number' && given >= least) return given;
    throw new ConfigError(`${where}.${field}`, `a number of at least ${least}`, given);
  };
  switch (spec.distribution) {
    case 'constant': {
      const constant = number('value', 0);
      return () => constant;
    }
    case 'uniform': {
      const [low, high] = [number('min', 0), number('max', 0)];
      if (high < low) throw new ConfigError(`${where}.max`, `at least min (${low})`, high);
      return () => chance.integer(low, high);
    }
    case 'lognormal':
      return capped(spec, logNormal(spec, number, chance));
    case 'zipf':
      return capped(spec, zipf(number('alpha', 1.000001), chance));
    case 'poisson':
      return capped(spec, poisson(number('alpha', 0), chance));
    default:
      throw new ConfigError(
        `${where}.distribution`,
        'constant, uniform, lognormal, zipf or poisson',
        spec.distribution,
      );
  }
}

function capped({ max }: Spec, draw: Draw): Draw {
  const most = typeof max === 'number' ? max : Infinity;
  return () => Math.min(most, Math.max(0, Math.round(draw())));
}

const MEDIAN_RATIO = 0.85;

/** By average and median / average, or by μ and σ: the mean is exp(μ + σ²/2) in both. */
function logNormal(
  spec: Spec,
  number: (field: string, least: number) => number,
  chance: RandomStream,
): Draw {
  if (spec.average === undefined) {
    const [mu, sigma] = [number('mean', 0), number('sigma', 0)];
    return () => Math.exp(mu + sigma * chance.normal());
  }
  const ratio = typeof spec.median_ratio === 'number' ? spec.median_ratio : MEDIAN_RATIO;
  const sigma = Math.sqrt(2 * Math.log(1 / ratio));
  const mu = Math.log(number('average', 1) * ratio);
  return () => Math.exp(mu + sigma * chance.normal());
}

/** Devroye's rejection from a Pareto: exact for every exponent above 1. */
function zipf(alpha: number, chance: RandomStream): Draw {
  const b = 2 ** (alpha - 1);
  return () => {
    for (;;) {
      const x = Math.floor((1 - chance.next()) ** (-1 / (alpha - 1)));
      const t = (1 + 1 / x) ** (alpha - 1);
      if ((chance.next() * x * (t - 1)) / (b - 1) <= t / b) return x;
    }
  };
}

/** Arrivals of a unit-rate process before `mean`. */
function poisson(mean: number, chance: RandomStream): Draw {
  return () => {
    let count = 0;
    for (let at = chance.exponential(); at < mean; at += chance.exponential()) count++;
    return count;
  };
}
