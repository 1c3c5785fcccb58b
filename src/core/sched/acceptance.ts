/**
 * Which drafts hold, by chance: one draw per request and step.
 *
 * Drafts hold one after the other, so all there is to know is how likely at least i of them hold. A draw
 * in [0, 1) is held against these probabilities; those above it hold. Given are either a probability per
 * draft, or counts recorded from a real server, of which the same probabilities are made.
 */

import type { Acceptance, DraftedRequest } from '../engine.js';
import type { RandomStream } from '../rng.js';
import type { AcceptanceSpec, SpeculationSpec, SpeculativeMethod } from '../scenario.js';

/**
 * Probability that a draft holds when those before it do, where the user gives none: assumptions, in the
 * middle of what is published. draft_model: Leviathan et al. 2023 (0.6–0.8 on greedy tasks); eagle: Li et
 * al. 2024 (about 0.75); eagle3: Li et al. 2025; mtp: DeepSeek-V3 report (0.85–0.9 for the second token).
 * ngram depends on how much an answer repeats its prompt; nothing general is published.
 */
export const DEFAULT_ACCEPTANCE: Readonly<Record<SpeculativeMethod, number>> = {
  ngram: 0.4,
  draft_model: 0.7,
  eagle: 0.75,
  eagle3: 0.8,
  mtp: 0.85,
};

/** For the i-th draft, from 0: probability that it and all before it hold. */
export type Survival = Float64Array;

/** @param rates probability for each position, given those before; the last one stands for all further. */
export function survivalOfRates(rates: readonly number[], numDrafts: number): Survival {
  let all = 1;
  return Float64Array.from({ length: numDrafts }, (_, i) => {
    all *= rates[Math.min(i, rates.length - 1)] ?? 0;
    return all;
  });
}

/** @param counts accepted drafts of each verification. */
export const survivalOfCounts = (counts: readonly number[], numDrafts: number): Survival =>
  Float64Array.from(
    { length: numDrafts },
    (_, i) => counts.filter((count) => count > i).length / counts.length,
  );

/** Drafts of request i hold as table i modulo their number says. */
export class DrawnAcceptance implements Acceptance {
  constructor(
    private readonly tables: readonly Survival[],
    private readonly random: RandomStream,
  ) {}

  accepted({ index }: Pick<DraftedRequest, 'index'>, numDrafts: number): number {
    const { tables } = this;
    const survival = tables.length === 1 ? tables[0]! : tables[index % tables.length]!;
    const most = Math.min(numDrafts, survival.length);
    const draw = this.random.next();
    let held = 0;
    while (held < most && draw < survival[held]!) held++;
    return held;
  }
}

/** What an instance with this speculation is given; every instance draws from a stream of its own. */
export function drawnAcceptance(spec: SpeculationSpec): (random: RandomStream) => Acceptance {
  const tables = survivalsOf(
    spec.acceptance ?? { kind: 'rates', rates: [DEFAULT_ACCEPTANCE[spec.method]] },
    spec.numSpeculativeTokens,
  );
  return (random) => new DrawnAcceptance(tables, random);
}

const survivalsOf = (acceptance: AcceptanceSpec, numDrafts: number): Survival[] =>
  acceptance.kind === 'rates'
    ? [survivalOfRates(acceptance.rates, numDrafts)]
    : acceptance.counts.map((counts) => survivalOfCounts(counts, numDrafts));
