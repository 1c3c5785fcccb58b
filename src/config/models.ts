/**
 * Models by name or by path: `model_configs/<org>/<name>.json`, or any Hugging Face `config.json`.
 */

import { statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ConfigError, closest } from '../core/errors.js';
import { modelShapeFromConfig } from '../core/model/from-hf-config.js';
import type { ModelShape } from '../core/model/model-shape.js';
import { dataPath, entries, jsonNames, looksLikePath, readJson } from './data-dir.js';

/** All models of the package, as `org/name`, sorted. */
export const listModels = (): string[] =>
  entries('model_configs').flatMap((org) =>
    jsonNames('model_configs', org).map((name) => `${org}/${name}`),
  );

/**
 * @param nameOrPath `org/name` in any case, `name` alone where one org has it, a file, or a folder with a `config.json`.
 * @throws {ConfigError} suggesting the closest name.
 */
export function loadModel(nameOrPath: string): ModelShape {
  const name = findModel(nameOrPath);
  if (name !== undefined) {
    return modelShapeFromConfig(
      name,
      readJson(dataPath('model_configs', `${name}.json`), 'a model configuration'),
    );
  }
  const file = modelFile(nameOrPath);
  if (file === undefined) throw unknownModel(nameOrPath);
  return modelShapeFromConfig(nameOfFile(file), readJson(file, 'a Hugging Face config.json'), file);
}

/** Reads one directory: the org's. Only a bare name needs all of them. */
function findModel(word: string): string | undefined {
  if (looksLikePath(word)) return undefined;
  const lower = word.toLowerCase();
  const slash = lower.indexOf('/');
  if (slash < 0) {
    const matches = listModels().filter(
      (name) => name.slice(name.indexOf('/') + 1).toLowerCase() === lower,
    );
    return matches.length === 1 ? matches[0] : undefined;
  }
  const org = entries('model_configs').find((o) => o.toLowerCase() === lower.slice(0, slash));
  const model =
    org && jsonNames('model_configs', org).find((n) => n.toLowerCase() === lower.slice(slash + 1));
  return model === undefined ? undefined : `${org}/${model}`;
}

function modelFile(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isDirectory()) return join(path, 'config.json');
  if (stat?.isFile() || looksLikePath(path)) return path;
  return undefined;
}

const nameOfFile = (file: string): string =>
  basename(file) === 'config.json' ? basename(dirname(file)) : basename(file, '.json');

function unknownModel(word: string): ConfigError {
  const all = listModels();
  const near =
    closest(word, all) ?? all.find((name) => closest(word, [name.slice(name.indexOf('/') + 1)]));
  return new ConfigError(
    '--model',
    'a name of list-models, or the path of a config.json',
    word,
    near && `did you mean ${near}?`,
  );
}
