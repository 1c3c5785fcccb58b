/** How long large prompts hold up streams of others: the longest gap between two tokens, beyond the due one. */

import http from 'node:http';
import { sleep, startOurs } from './servers.js';

const ITL_MS = 20;
const NUM_STREAMS = 20;
const NUM_PROMPTS = 10;
const PROMPT_CHARS = 100_000;

/** Milliseconds by which the worst gap of any stream exceeds its due length. */
export async function stallOfLargePrompts(withPrompts: boolean): Promise<number> {
  const flags = ['--time-to-first-token', '100', '--inter-token-latency', String(ITL_MS)];
  const server = await startOurs(flags);
  const words = Array.from({ length: PROMPT_CHARS / 5 }, (_, i) =>
    (i * 7919).toString(36).slice(-4),
  );
  const large = words.join(' ');
  // The first large prompt starts the thread that tokenises.
  await ask(server.url, { max_tokens: 1 }, large);
  const streams = Array.from({ length: NUM_STREAMS }, () =>
    ask(server.url, { stream: true, max_tokens: 100, ignore_eos: true }, 'hi'),
  );
  for (let i = 0; withPrompts && i < NUM_PROMPTS; i++) {
    await sleep(100);
    await ask(server.url, { max_tokens: 1 }, `${i} ${large}`);
  }
  const gaps = await Promise.all(streams);
  await server.stop();
  return Math.max(...gaps) - ITL_MS;
}

/** The longest gap between two reads of the answer, in milliseconds. */
function ask(url: string, more: object, content: string): Promise<number> {
  const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content }], ...more });
  const headers = { 'content-type': 'application/json' };
  return new Promise((done, failed) => {
    const request = http.request(`${url}/v1/chat/completions`, { method: 'POST', headers });
    request.on('error', failed);
    request.on('response', (response) => {
      let last: number | undefined;
      let longest = 0;
      response.on('data', () => {
        const now = performance.now();
        if (last !== undefined) longest = Math.max(longest, now - last);
        last = now;
      });
      response.on('end', () => done(longest));
    });
    request.end(body);
  });
}
