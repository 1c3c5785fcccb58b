/** The data sets that are files, by name; `random` and traces are loads of their own (`../source.ts`). */

import { burstgpt } from './burstgpt.js';
import { custom } from './custom.js';
import type { Dataset } from './dataset.js';
import { hf } from './hf.js';
import { sharegpt } from './sharegpt.js';
import { sonnet } from './sonnet.js';

export const DATASETS: readonly Dataset[] = [sharegpt, sonnet, burstgpt, custom, hf];
