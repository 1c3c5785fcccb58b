/**
 * Reads the fields of a request body, one check a line, and refuses with the path of the field, the
 * code OpenAI uses, and what was expected.
 *
 * `null` is the same as absent everywhere: clients send it for what they do not set.
 */

import { ApiError } from './api-error.js';

export interface NumberBounds {
  readonly min?: number;
  readonly max?: number;
  readonly integer?: boolean;
}

export type JsonObject = Readonly<Record<string, unknown>>;

export class Fields {
  readonly #body: JsonObject;

  constructor(
    body: unknown,
    /** Where the object stands: empty for the body, `stream_options`, `messages[2]`, ... */
    readonly path = '',
  ) {
    if (typeof body !== 'object' || body === null || Array.isArray(body)) {
      throw path === ''
        ? new ApiError('invalid', `The request body must be a JSON object, not ${kindOf(body)}.`)
        : invalidType(path, 'an object', body);
    }
    this.#body = body as JsonObject;
  }

  at(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`;
  }

  /** The value as it came; `undefined` for absent and `null`. */
  raw(name: string): unknown {
    return this.#body[name] ?? undefined;
  }

  number(name: string, { min, max, integer = false }: NumberBounds = {}): number | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    const path = this.at(name);
    const what = integer ? 'integer' : 'decimal';
    if (typeof value !== 'number' || (integer && !Number.isInteger(value))) {
      throw invalidType(path, integer ? 'an integer' : 'a number', value);
    }
    if (min !== undefined && value < min) {
      throw new ApiError('invalid', `Invalid '${path}': ${value} is below the minimum of ${min}.`, {
        param: path,
        code: `${what}_below_min_value`,
      });
    }
    if (max !== undefined && value > max) {
      throw new ApiError('invalid', `Invalid '${path}': ${value} is above the maximum of ${max}.`, {
        param: path,
        code: `${what}_above_max_value`,
      });
    }
    return value;
  }

  integer(name: string, bounds: Omit<NumberBounds, 'integer'> = {}): number | undefined {
    return this.number(name, { ...bounds, integer: true });
  }

  boolean(name: string): boolean | undefined {
    const value = this.raw(name);
    if (value === undefined || typeof value === 'boolean') return value;
    throw invalidType(this.at(name), 'a boolean', value);
  }

  string(name: string, maxLength?: number): string | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'string') throw invalidType(this.at(name), 'a string', value);
    if (maxLength !== undefined && value.length > maxLength) {
      throw invalidValue(this.at(name), `at most ${maxLength} characters`, `${value.length}`);
    }
    return value;
  }

  oneOf<T extends string>(name: string, values: readonly T[]): T | undefined {
    const value = this.string(name);
    if (value === undefined || values.includes(value as T)) return value as T | undefined;
    throw invalidValue(this.at(name), `one of ${values.map((v) => `'${v}'`).join(', ')}`, value);
  }

  object(name: string): Fields | undefined {
    const value = this.raw(name);
    return value === undefined ? undefined : new Fields(value, this.at(name));
  }

  list(
    name: string,
    { min = 0, max }: { min?: number; max?: number } = {},
  ): readonly unknown[] | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) throw invalidType(this.at(name), 'a list', value);
    if (value.length < min) {
      throw new ApiError('invalid', `Invalid '${this.at(name)}': at least ${min} needed.`, {
        param: this.at(name),
        code: value.length === 0 ? 'empty_array' : 'array_below_min_length',
      });
    }
    if (max !== undefined && value.length > max) {
      throw new ApiError('invalid', `Invalid '${this.at(name)}': at most ${max} allowed.`, {
        param: this.at(name),
        code: 'array_above_max_length',
      });
    }
    return value;
  }

  /** The elements of a list of objects, each with its path. */
  objects(
    name: string,
    length: { min?: number; max?: number } = {},
  ): readonly Fields[] | undefined {
    return this.list(name, length)?.map((item, i) => new Fields(item, `${this.at(name)}[${i}]`));
  }

  required<T>(name: string, value: T | undefined): T {
    if (value !== undefined) return value;
    throw new ApiError('invalid', `Missing required parameter: '${this.at(name)}'.`, {
      param: this.at(name),
      code: 'missing_required_parameter',
    });
  }
}

export const invalidType = (path: string, expected: string, got: unknown): ApiError =>
  new ApiError('invalid', `Invalid type for '${path}': expected ${expected}, got ${kindOf(got)}.`, {
    param: path,
    code: 'invalid_type',
  });

export const invalidValue = (path: string, expected: string, got: unknown): ApiError =>
  new ApiError(
    'invalid',
    `Invalid value for '${path}': expected ${expected}, got ${JSON.stringify(got)}.`,
    { param: path, code: 'invalid_value' },
  );

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'number') return Number.isInteger(value) ? 'an integer' : 'a decimal';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
