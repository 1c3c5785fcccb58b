/**
 * The package's data files: where they are, and reading them.
 *
 * `perf_model/` and `model_configs/` stand beside `src` and `dist`. A command reads only the files it was asked for, never a whole directory's contents.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ConfigError } from '../core/errors.js';

/** The folder of package.json: two steps up from the source, three from what is built of it. */
const ROOT = ['../../', '../../../']
  .map((steps) => fileURLToPath(new URL(steps, import.meta.url)))
  .find((folder) => existsSync(`${folder}package.json`))!;

export const packageRoot = (): string => ROOT;

export const dataPath = (...parts: string[]): string => ROOT + parts.join('/');

/** Names of the JSON files in a data directory, without `.json`; empty when there is none. */
export function jsonNames(...directory: string[]): string[] {
  return entries(...directory)
    .filter((f) => f.endsWith('.json'))
    .map((f) => f.slice(0, -5));
}

export function entries(...directory: string[]): string[] {
  try {
    return readdirSync(dataPath(...directory)).sort();
  } catch {
    return [];
  }
}

/** @throws {ConfigError} when the file is missing, unreadable or not JSON. */
export function readJson(path: string, what: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ConfigError(
      path,
      what,
      (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : String(cause),
    );
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ConfigError(path, `${what} in JSON`, (cause as Error).message);
  }
}

export type JsonObject = Readonly<Record<string, unknown>>;

/** Fields of one JSON object, each checked where it is read; errors name file and field. */
export class Fields {
  constructor(
    private readonly object: JsonObject,
    private readonly path: string,
  ) {}

  static of(value: unknown, path: string): Fields {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new ConfigError(path, 'an object', value);
    return new Fields(value as JsonObject, path);
  }

  /** Refuses fields that are not in `names`. */
  only(...names: string[]): this {
    for (const key of Object.keys(this.object)) {
      if (!names.includes(key))
        throw new ConfigError(`${this.path}: ${key}`, `one of the fields ${names.join(', ')}`, key);
    }
    return this;
  }

  has = (name: string): boolean => this.object[name] !== undefined;

  number(name: string, least = 0): number {
    const value = this.object[name];
    if (typeof value === 'number' && value >= least) return value;
    throw new ConfigError(`${this.path}: ${name}`, `a number, at least ${least}`, value);
  }

  text(name: string): string {
    const value = this.object[name];
    if (typeof value === 'string' && value !== '') return value;
    throw new ConfigError(`${this.path}: ${name}`, 'a text', value);
  }

  flag(name: string): boolean {
    const value = this.object[name];
    if (typeof value === 'boolean') return value;
    throw new ConfigError(`${this.path}: ${name}`, 'true or false', value);
  }

  oneOf<T extends string>(name: string, allowed: readonly T[]): T {
    const value = this.object[name];
    if (allowed.includes(value as T)) return value as T;
    throw new ConfigError(`${this.path}: ${name}`, `one of ${allowed.join(', ')}`, value);
  }

  texts(name: string): string[] {
    const value = this.object[name] ?? [];
    if (Array.isArray(value) && value.every((v) => typeof v === 'string')) return value;
    throw new ConfigError(`${this.path}: ${name}`, 'a list of texts', value);
  }

  list(name: string): Fields[] {
    const value = this.object[name];
    if (!Array.isArray(value)) throw new ConfigError(`${this.path}: ${name}`, 'a list', value);
    return value.map((v, i) => Fields.of(v, `${this.path}: ${name}[${i}]`));
  }

  child(name: string): Fields {
    return Fields.of(this.object[name], `${this.path}: ${name}`);
  }

  keys = (): string[] => Object.keys(this.object);
}

/** Whether a user's word is a path rather than a name. */
export const looksLikePath = (word: string): boolean =>
  word.endsWith('.json') || word.startsWith('./') || word.startsWith('../') || word.startsWith('/');
