/**
 * The two ways in which a simulation says no.
 *
 * `ConfigError` is the user's to mend and says where, what was expected and what was found.
 * `InvariantError` is a bug: a law of the model broke, and the run stops.
 */

/** The user asked for something impossible. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  constructor(
    /** Where: a flag (`--request-rate`), or file and field (`scenario.yaml: pools[0].model`). */
    readonly path: string,
    readonly expected: string,
    readonly got: unknown,
    /** What to do about it, when there is more to say. */
    readonly hint?: string,
  ) {
    super(`${path}: expected ${expected}, got ${show(got)}${hint ? `\n${hint}` : ''}`);
  }
}

/** A law of the model broke: a bug in the simulator. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

export function invariant(condition: boolean, law: string): asserts condition {
  if (!condition) throw new InvariantError(`broken law: ${law}`);
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  return typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? String(value));
}

/** The name in `known` that `word` was probably meant to be, if any is near. */
export function closest(word: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length * 0.4)) + 1;
  for (const candidate of known) {
    const a = word.toLowerCase();
    const b = candidate.toLowerCase();
    const contains = a.length >= 2 && (b.includes(a) || a.includes(b));
    const distance = contains ? Math.min(2, editDistance(a, b)) : editDistance(a, b);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Levenshtein distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
