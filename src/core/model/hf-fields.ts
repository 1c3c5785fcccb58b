/** Reading fields of a `config.json` under any of their names, and remembering which are missing. */

import { ConfigError } from '../errors.js';

export type Config = Readonly<Record<string, unknown>>;

export interface FieldReader {
  /** The first of `names` that is there and a positive number. */
  get(...names: string[]): number | undefined;
  flag(name: string): boolean | undefined;
  /** A string, or the first string of a list. */
  text(...names: string[]): string | undefined;
  /** Like `get`; when none is there, the first name goes on the list of the missing. */
  require(...names: string[]): number;
  readonly missing: string[];
}

export function reader(config: Config, path: string): FieldReader {
  const missing: string[] = [];
  const get = (...names: string[]): number | undefined => {
    for (const name of names) {
      const value = config[name];
      if (value === undefined || value === null) continue;
      if (typeof value !== 'number' || !(value >= 0) || !Number.isFinite(value)) {
        throw new ConfigError(`${path}: ${name}`, 'a number, at least 0', value);
      }
      return value;
    }
    return undefined;
  };
  return {
    get,
    missing,
    require(...names) {
      const value = get(...names);
      if (value === undefined || value === 0) {
        if (!missing.includes(names[0]!)) missing.push(names[0]!);
        return 0;
      }
      return value;
    },
    flag: (name) => (typeof config[name] === 'boolean' ? (config[name] as boolean) : undefined),
    text(...names) {
      for (const name of names) {
        const value = Array.isArray(config[name]) ? (config[name] as unknown[])[0] : config[name];
        if (typeof value === 'string') return value;
      }
      return undefined;
    },
  };
}
