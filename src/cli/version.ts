/** The version of this package. */

import { readFileSync } from 'node:fs';
import { dataPath } from '../config/data-dir.js';

export const packageVersion = (): string =>
  (JSON.parse(readFileSync(dataPath('package.json'), 'utf8')) as { version: string }).version;
