/** Starting a thread of ours: built code runs as it is; in a source checkout it goes through tsx, like everything else. */

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';

/**
 * @param from the caller's `import.meta.url`
 * @param name of the module beside it, without its extension; bundled, all entries are beside each other
 */
export function startWorker(from: string, name: string, workerData: object = {}): Worker {
  if (!from.endsWith('.ts')) return new Worker(new URL(`./${name}.js`, from), { workerData });
  const entry = new URL(`./${name}.ts`, from).href;
  const start =
    "const { tsx, entry } = require('node:worker_threads').workerData;" +
    'import(tsx).then(({ register }) => { register(); return import(entry); });';
  return new Worker(start, { eval: true, workerData: { ...workerData, tsx: tsxApi(), entry } });
}

/** The module whose `register` makes `import` understand TypeScript: in a source checkout alone. */
export function tsxApi(): string {
  const tsxCjs = createRequire(import.meta.url).resolve('tsx/esm/api');
  return pathToFileURL(tsxCjs.replace(/\.cjs$/, '.mjs')).href;
}
