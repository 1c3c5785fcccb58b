/** The formats of measured times that can become a table. */

import { ConfigError } from '../../core/errors.js';
import { filesUnder, type ImportFormat } from './format.js';
import { llmservingsim } from './llmservingsim.js';
import { steps } from './steps.js';
import { vidur } from './vidur.js';

export type { ImportedTable, ImportFormat, Said } from './format.js';

export const IMPORT_FORMATS: readonly ImportFormat[] = [llmservingsim, vidur, steps];

/** The files of `--import`, and the format they are in: the one asked for, or the one they look like. */
export function openImport(
  paths: readonly string[],
  asked: string | undefined,
): { files: string[]; format: ImportFormat } {
  const files = filesUnder(paths, '--import');
  const names = IMPORT_FORMATS.map(({ name }) => name).join(', ');
  const format = IMPORT_FORMATS.find((f) =>
    asked === undefined ? f.recognises(files) : f.name === asked,
  );
  if (format) return { files, format };
  if (asked !== undefined) throw new ConfigError('--format', names, asked);
  const forms = IMPORT_FORMATS.map(({ name, about }) => `  ${name.padEnd(14)} ${about}`);
  throw new ConfigError(
    '--import',
    `one of the formats ${names}`,
    paths.join(','),
    forms.join('\n'),
  );
}
