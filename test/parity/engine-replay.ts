/** The engine as a replayer of golden traces. */

import type { Replayer } from './golden.js';

export const engineReplayers: Replayer[] = [];
