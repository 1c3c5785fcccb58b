/** Values of flags, from their text. Each refuses with the flag's name and what was expected. */

import { ConfigError } from '../core/errors.js';

/** A number; `inf` where the flag allows it. */
export function numberOf(flag: string, text: string, allowInfinity = false): number {
  if (allowInfinity && /^\+?inf(inity)?$/i.test(text.trim())) return Infinity;
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isFinite(value)) return value;
  throw new ConfigError(flag, allowInfinity ? 'a number or inf' : 'a number', text);
}

export function countOf(flag: string, text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isSafeInteger(value)) return value;
  throw new ConfigError(flag, 'a whole number', text);
}

/** `0.3` for both, or `{"input": 0.3, "output": 0.5}`; what is left out there is 0. */
export function ratiosOf(flag: string, text: string): { input: number; output: number } {
  if (!text.trim().startsWith('{')) {
    const ratio = numberOf(flag, text);
    return { input: ratio, output: ratio };
  }
  try {
    const { input = 0, output = 0, ...rest } = JSON.parse(text) as Record<string, unknown>;
    if (typeof input === 'number' && typeof output === 'number' && Object.keys(rest).length === 0) {
      return { input, output };
    }
  } catch {
    // Told below.
  }
  throw new ConfigError(flag, 'a number, or {"input": 0.3, "output": 0.5}', text);
}

/** `a,b,c`; an empty place is an error. */
export function listOf(flag: string, text: string): string[] {
  const items = text.split(',').map((item) => item.trim());
  if (items.every((item) => item !== '')) return items;
  throw new ConfigError(flag, 'a value, or several with a comma between', text);
}
