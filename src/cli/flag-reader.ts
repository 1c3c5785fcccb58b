/** Flags as they come, and their values by the snake_case name of a field. */

import { camelCase } from '../config/engine-options.js';
import type { FieldName } from '../config/scenario-request.js';
import { ConfigError } from '../core/errors.js';
import { countOf, numberOf, ratiosOf } from './values.js';

/** Flags as commander gives them: text, true or false, or a list of texts. */
export type Flags = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

export type Row = readonly [flags: string, about: string];

export const flagName: FieldName = (field) => `--${field.replaceAll('_', '-')}`;

/** Flags by the snake_case of their field. */
export class Reader {
  constructor(private readonly flags: Flags) {}

  text(field: string): string | undefined {
    const value = this.flags[camelCase(field)];
    return typeof value === 'string' ? value : undefined;
  }

  flag(field: string): boolean | undefined {
    const value = this.flags[camelCase(field)];
    return typeof value === 'boolean' ? value : undefined;
  }

  number(field: string, allowInfinity = false): number | undefined {
    const text = this.text(field);
    return text === undefined ? undefined : numberOf(flagName(field), text, allowInfinity);
  }

  rate(field: string): number | undefined {
    return this.number(field, true);
  }

  /** Of inputs and outputs: one for both, or each its own. */
  ratios(field: string): { input: number; output: number } | undefined {
    const text = this.text(field);
    return text === undefined ? undefined : ratiosOf(flagName(field), text);
  }

  /** A number that may not be below `least`. */
  numberFrom(least: number, field: string): number | undefined {
    const value = this.number(field);
    if (value === undefined || value >= least) return value;
    throw new ConfigError(flagName(field), `a number of at least ${least}`, value);
  }

  count(field: string): number | undefined {
    const text = this.text(field);
    return text === undefined ? undefined : countOf(flagName(field), text);
  }

  /** A whole number that may not be below `least`. */
  countFrom(least: number, field: string): number | undefined {
    const value = this.count(field);
    if (value === undefined || value >= least) return value;
    throw new ConfigError(flagName(field), `a whole number of at least ${least}`, value);
  }
}
