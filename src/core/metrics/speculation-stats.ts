/**
 * What became of the drafts: how many were verified, and how many held.
 *
 *   acceptance rate = accepted / draft tokens         acceptance length = 1 + accepted / drafts
 *   by position     = verifications in which the draft there held / drafts
 *
 * as in vLLM, where a "draft" is the drafts of one request in one step.
 */

export interface SpeculationCounts {
  /** Requests × steps in which drafts were verified. */
  readonly numDrafts: number;
  readonly draftTokens: number;
  readonly acceptedTokens: number;
  /** In how many the draft at each position held. */
  readonly acceptedPerPosition: readonly number[];
}

export class SpeculationStats {
  draftTokens = 0;
  /** Verifications by how many drafts held. */
  readonly #verified: Float64Array;

  constructor(maxDrafts: number) {
    this.#verified = new Float64Array(maxDrafts + 1);
  }

  /** `held` of `drafts` drafts of a request held. */
  count(drafts: number, held: number): void {
    if (drafts === 0) return;
    this.draftTokens += drafts;
    this.#verified[held]!++;
  }

  counts(): SpeculationCounts {
    const verified = this.#verified;
    const atLeast = Array.from(verified);
    for (let i = atLeast.length - 2; i >= 0; i--) atLeast[i]! += atLeast[i + 1]!;
    const [numDrafts = 0, ...acceptedPerPosition] = atLeast;
    const acceptedTokens = acceptedPerPosition.reduce((sum, n) => sum + n, 0);
    return { numDrafts, draftTokens: this.draftTokens, acceptedTokens, acceptedPerPosition };
  }
}

/** Several instances together; `undefined` when none of them speculates. */
export function sumSpeculation(
  all: readonly (SpeculationCounts | undefined)[],
): SpeculationCounts | undefined {
  const counts = all.filter((one) => one !== undefined);
  if (counts.length === 0) return undefined;
  const sum = (of: (one: SpeculationCounts) => number) =>
    counts.reduce((total, one) => total + of(one), 0);
  const positions = Math.max(...counts.map((one) => one.acceptedPerPosition.length));
  return {
    numDrafts: sum((one) => one.numDrafts),
    draftTokens: sum((one) => one.draftTokens),
    acceptedTokens: sum((one) => one.acceptedTokens),
    acceptedPerPosition: Array.from({ length: positions }, (_, i) =>
      sum((one) => one.acceptedPerPosition[i] ?? 0),
    ),
  };
}

/** Fractions of what was drafted; all 0 before anything was. */
export interface AcceptanceRates {
  readonly rate: number;
  /** Tokens a verification yields, its own included. */
  readonly length: number;
  readonly perPosition: readonly number[];
}

export function acceptanceRates(counts: SpeculationCounts): AcceptanceRates {
  const { numDrafts, draftTokens, acceptedTokens, acceptedPerPosition } = counts;
  const per = (value: number, of: number) => (of > 0 ? value / of : 0);
  return {
    rate: per(acceptedTokens, draftTokens),
    length: 1 + per(acceptedTokens, numDrafts),
    perPosition: acceptedPerPosition.map((held) => per(held, numDrafts)),
  };
}
