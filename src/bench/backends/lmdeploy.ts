/** LMDeploy's api_server: completions. */

import { completionsBackend } from './completions.js';

export const lmdeploy = completionsBackend({
  name: 'lmdeploy',
  about: 'LMDeploy api_server',
  port: 23333,
});
