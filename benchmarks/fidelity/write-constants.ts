/**
 * Puts fitted values where the package reads them: `perf_model/efficiency/global.json` and `perf_model/engines/*.json`.
 *
 * The files are edited as text, number by number, so that their notes, their order and their powers of a
 * thousandth stay as people wrote them. Three digits: more is not known.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { dataPath } from '../../src/config/data-dir.js';

/** By the names of `parameters.ts`. */
export type Fitted = Readonly<Record<string, number>>;

export function writeConstants(fitted: Fitted): void {
  edit(dataPath('perf_model', 'efficiency', 'global.json'), (text) => withConstants(text, fitted));
  const engines = new Set(
    Object.keys(fitted).flatMap((name) => /^engine\.(.+?)@/.exec(name)?.[1] ?? []),
  );
  for (const engine of engines) {
    edit(dataPath('perf_model', 'engines', `${engine}.json`), (text) =>
      withTerms(text, engine, fitted),
    );
  }
}

function edit(path: string, change: (text: string) => string): void {
  writeFileSync(path, change(readFileSync(path, 'utf8')));
}

export function withConstants(text: string, fitted: Fitted): string {
  const from = text.indexOf('"overrides"');
  let constants = text.slice(0, from);
  const [opening, ...overrides] = text.slice(from).split(/(?=\n {4}\{)/);
  for (const [name, value] of Object.entries(fitted)) {
    const [kind, ...rest] = name.split('.');
    if (kind === 'constant') {
      constants = replaced(constants, `"${snake(rest[0]!)}": \\{\\s*"value": `, value);
    } else if (kind === 'factor' || kind === 'value') {
      const at = Number(rest[0]);
      overrides[at] = replaced(overrides[at]!, `"${snake(rest[1]!)}": `, value);
    }
  }
  return constants + [opening, ...overrides].join('');
}

export function withTerms(text: string, engine: string, fitted: Fitted): string {
  const [opening, ...generations] = text.split(/(?=\n {4}\{\n {6}"since")/);
  const edited = generations.map((generation) => {
    const since = /"since": "([^"]*)"/.exec(generation)![1]!;
    const prefix = `engine.${engine}@${since}.`;
    return Object.entries(fitted)
      .filter(([name]) => name.startsWith(prefix) && !name.slice(prefix.length).includes('.'))
      .reduce(
        (json, [name, value]) => replaced(json, `"${field(name.slice(prefix.length))}": `, value),
        generation,
      );
  });
  return [opening, ...edited].join('');
}

function replaced(json: string, before: string, value: number): string {
  const pattern = new RegExp(`(${before})[^,\\s}]+`);
  if (!pattern.test(json)) throw new Error(`nothing to replace: ${before}`);
  return json.replace(pattern, `$1${written(value)}`);
}

/** `12.4e-6`, `0.0131`, `0.82`. */
export function written(value: number): string {
  const rounded = Number(value.toPrecision(3));
  if (rounded === 0 || Math.abs(rounded) >= 1e-3) return String(rounded);
  const power = 3 * Math.ceil(-Math.log10(Math.abs(rounded)) / 3);
  return `${Number((rounded * 10 ** power).toPrecision(3))}e-${power}`;
}

const snake = (name: string): string =>
  name.replace(/(\d+)/g, '_$1').replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);

/** `hostSecondsPerStep` is `host_s_per_step` there, and what is per layer says so. */
const field = (name: string): string =>
  ({
    inputLatencySeconds: 'input_latency_s',
    smallExpertSeconds: 'small_expert_s_per_layer',
  })[name] ?? snake(name).replace('_seconds_', '_s_');
