/**
 * Scenario files: YAML or JSON in the field names of `proto/llmservingsim/v1/scenario.proto`.
 *
 * The generated descriptors are the schema: a file is walked along them, so a field added to the proto
 * is read at once, and a field that is not there, or of another type, is an error that names file,
 * field, expected and got.
 */

import { readFileSync } from 'node:fs';
import { create, type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { type Scenario, ScenarioSchema } from '../../gen/llmservingsim/v1/scenario_pb.js';
import { ConfigError, closest } from '../core/errors.js';

/**
 * Reads a scenario file.
 *
 * @throws {ConfigError}
 */
export async function readScenarioFile(path: string, flag = '--config'): Promise<Scenario> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const got = code === 'ENOENT' ? `no such file: ${path}` : `${path} (${code})`;
    throw new ConfigError(flag, 'a readable scenario file', got);
  }
  return scenarioFromData(await parse(path, text), path);
}

/** A scenario from what YAML or JSON held; `path` names the file in errors. */
export function scenarioFromData(data: unknown, path: string): Scenario {
  const fields = messageFields(ScenarioSchema, data, { file: path, field: '' });
  return create(ScenarioSchema, fields as Parameters<typeof create<typeof ScenarioSchema>>[1]);
}

async function parse(path: string, text: string): Promise<unknown> {
  if (path.endsWith('.json')) {
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new ConfigError(path, 'JSON', (cause as Error).message);
    }
  }
  const { parseDocument } = await import('yaml');
  const document = parseDocument(text);
  const [error] = document.errors;
  if (!error) return document.toJS();
  const line = error.linePos?.[0].line;
  const message = error.message.split('\n')[0]!.replace(/ at line.*$/, '');
  throw new ConfigError(line === undefined ? path : `${path}:${line}`, 'YAML', message);
}

/** Where in which file. */
interface Place {
  readonly file: string;
  readonly field: string;
}

const spell = ({ file, field }: Place): string => (field === '' ? file : `${file}: ${field}`);
const below = ({ file, field }: Place, name: string): Place => ({
  file,
  field: field === '' ? name : `${field}.${name}`,
});

type Fields = Record<string, unknown>;

/** The fields of a message, in the form `create` takes. */
function messageFields(schema: DescMessage, data: unknown, at: Place): Fields {
  if (data === null || typeof data !== 'object' || Array.isArray(data)) {
    throw new ConfigError(spell(at), `the fields of a ${schema.name}`, data ?? undefined);
  }
  const fields: Fields = {};
  for (const [written, value] of Object.entries(data)) {
    const name = SPELLINGS[`${schema.name}.${written}`]?.(value) ?? written;
    const field = schema.fields.find((known) => known.name === name);
    if (!field) throw unknownField(schema, name, below(at, name));
    // A key without a value, as YAML allows: not said.
    if (value === null) continue;
    put(fields, field, fieldValue(field, value, below(at, name)), at);
  }
  return fields;
}

/** Keys that stand for another field where their value is of another type. */
const SPELLINGS: Readonly<Record<string, (value: unknown) => string | undefined>> = {
  // A number, a list, or a path, as in the JSON of --speculative-config.
  'SpeculativeConfig.acceptance': (value) =>
    typeof value === 'string' && value !== 'inf' ? 'acceptance_file' : undefined,
};

function unknownField(schema: DescMessage, name: string, at: Place): ConfigError {
  const names = schema.fields.map((field) => field.name);
  const near = closest(name, names);
  const hint = near ? `Did you mean ${near}?` : undefined;
  const expected = names.length <= 12 ? `one of ${names.join(', ')}` : `a field of ${schema.name}`;
  return new ConfigError(spell(at), expected, name, hint);
}

function put(fields: Fields, field: DescField, value: unknown, at: Place): void {
  if (!field.oneof) {
    fields[field.localName] = value;
    return;
  }
  const choice = field.oneof.localName;
  if (fields[choice] !== undefined) {
    const names = field.oneof.fields.map((one) => one.name).join(', ');
    throw new ConfigError(spell(at), `only one of ${names}`, `also ${field.name}`);
  }
  fields[choice] = { case: field.localName, value };
}

function fieldValue(field: DescField, value: unknown, at: Place): unknown {
  switch (field.fieldKind) {
    case 'scalar':
      return scalar(field.scalar, value, at);
    case 'message':
      return messageFields(field.message, value, at);
    case 'list': {
      // A number alone is a list of one.
      const list = field.listKind === 'scalar' && typeof value === 'number' ? [value] : value;
      if (!Array.isArray(list)) throw new ConfigError(spell(at), 'a list', value);
      return list.map((item, i) => {
        const place = { ...at, field: `${at.field}[${i}]` };
        if (field.listKind === 'message') return messageFields(field.message, item, place);
        return scalar(field.listKind === 'scalar' ? field.scalar : ScalarType.INT32, item, place);
      });
    }
    default:
      throw new ConfigError(spell(at), 'a scalar, a message or a list', field.fieldKind);
  }
}

function scalar(type: ScalarType, value: unknown, at: Place): unknown {
  switch (type) {
    case ScalarType.STRING:
      if (typeof value === 'string') return value;
      throw new ConfigError(spell(at), 'a text', value);
    case ScalarType.BOOL:
      if (typeof value === 'boolean') return value;
      throw new ConfigError(spell(at), 'true or false', value);
    case ScalarType.DOUBLE:
      if (value === 'inf') return Infinity;
      if (typeof value === 'number' && !Number.isNaN(value)) return value;
      throw new ConfigError(spell(at), 'a number or inf', value);
    default: {
      const least = type === ScalarType.UINT32 ? 0 : -(2 ** 31);
      const most = type === ScalarType.UINT32 ? 2 ** 32 - 1 : 2 ** 31 - 1;
      if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) {
        return value;
      }
      throw new ConfigError(spell(at), `a whole number of at least ${least}`, value);
    }
  }
}
