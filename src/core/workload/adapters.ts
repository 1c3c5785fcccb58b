/**
 * Which LoRA adapter a request asks for, drawn: n adapters, equally popular or by Zipf's law, where the
 * k-th is asked for in proportion to 1 / k^s. Few are popular and many are rare, as observed of
 * fine-tuned models; s around 1 is common.
 *
 * What says its own adapter (a row of a trace) keeps it.
 */

import type { RequestSpec } from '../engine.js';
import { ConfigError } from '../errors.js';
import type { RandomStream } from '../rng.js';
import type { Bodies } from './lengths/random.js';
import type { TraceSource } from './trace-replay.js';

export interface AdapterOptions {
  readonly count: number;
  /** s above; 0: all equally popular. */
  readonly zipf: number;
}

export class AdapterChoice {
  /** Σ of the weights up to and including each. */
  readonly #cumulative: Float64Array;
  readonly #names: readonly string[];

  constructor(
    { count, zipf }: AdapterOptions,
    private readonly chance: RandomStream,
  ) {
    let sum = 0;
    this.#cumulative = Float64Array.from({ length: count }, (_, k) => {
      sum += (k + 1) ** -zipf;
      return sum;
    });
    this.#names = Array.from({ length: count }, (_, k) => `lora-${k + 1}`);
  }

  draw(): string {
    const cumulative = this.#cumulative;
    const target = this.chance.next() * cumulative.at(-1)!;
    let low = 0;
    let high = cumulative.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (cumulative[middle]! > target) high = middle;
      else low = middle + 1;
    }
    return this.#names[low]!;
  }
}

/** Gives each request an adapter. */
export class AdaptedBodies implements Bodies {
  constructor(
    private readonly bodies: Bodies,
    private readonly choice: AdapterChoice,
  ) {}

  next(): RequestSpec | undefined {
    const spec = this.bodies.next();
    return spec && { ...spec, lora: this.choice.draw() };
  }
}

/** Gives each row of a trace an adapter that has none of its own. */
export function adaptedTrace(source: TraceSource, choice: AdapterChoice): TraceSource {
  return {
    next() {
      const row = source.next();
      if (!row || row.spec.lora !== undefined) return row;
      return { at: row.at, spec: { ...row.spec, lora: choice.draw() } };
    },
    close: () => source.close?.(),
  };
}

/** @throws {ConfigError} for adapters that mean nothing */
export function checkAdapters(
  { count, zipf }: AdapterOptions,
  name: (field: string) => string,
): void {
  if (!(Number.isSafeInteger(count) && count >= 1)) {
    throw new ConfigError(name('num_loras'), 'a whole number of at least 1', count);
  }
  if (!(zipf >= 0 && zipf <= 10)) {
    throw new ConfigError(name('lora_zipf'), 'an exponent from 0 to 10', zipf);
  }
}
