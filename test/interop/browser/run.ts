/**
 * Runs the page in a headless Chromium and prints what it sent home: `run.ts OPEN_SERVER CLOSED_SERVER`.
 * The page is bundled here and served from a port of its own on loopback.
 */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const TIMEOUT_MS = 60_000;
const BROWSER = process.env.CHROMIUM ?? 'chromium';

const [openServer, closedServer] = process.argv.slice(2);
const bundle = await build({
  entryPoints: [fileURLToPath(new URL('page.ts', import.meta.url))],
  bundle: true,
  format: 'esm',
  platform: 'browser',
  write: false,
  define: {
    OPEN_SERVER: JSON.stringify(openServer),
    CLOSED_SERVER: JSON.stringify(closedServer),
  },
});
const script = bundle.outputFiles[0]!.text;

interface Result {
  readonly ok: boolean;
  readonly findings: readonly string[];
}

let told: (result: Result) => void;
const result = new Promise<Result>((resolve) => {
  told = resolve;
});
const server = createServer((request, response) => {
  if (request.method !== 'POST') {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(`<!doctype html><title>calls</title><script type="module">${script}</script>`);
    return;
  }
  let body = '';
  request.on('data', (chunk) => {
    body += chunk;
  });
  request.on('end', () => {
    response.end();
    told(JSON.parse(body) as Result);
  });
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const { port } = server.address() as AddressInfo;

const profile = mkdtempSync(join(tmpdir(), 'chromium-'));
const browser = spawn(
  BROWSER,
  [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    `--user-data-dir=${profile}`,
    `http://127.0.0.1:${port}/`,
  ],
  { stdio: ['ignore', 'ignore', 'pipe'] },
);
let stderr = '';
browser.stderr.on('data', (chunk) => {
  stderr += chunk;
});
const exited = new Promise<void>((resolve) => browser.once('close', () => resolve()));
const failed = (why: string): Result => ({ ok: false, findings: [why, stderr.slice(-4000)] });
const gone = new Promise<Result>((resolve) => {
  browser.once('error', (error) => resolve(failed(`${BROWSER}: ${error.message}`)));
  browser.once('close', (code) => resolve(failed(`the browser ended with ${code}`)));
});
const late = new Promise<Result>((resolve) => {
  setTimeout(() => resolve(failed('the page sent nothing home')), TIMEOUT_MS).unref();
});
const { ok, findings } = await Promise.race([result, gone, late]);
browser.kill();
await Promise.race([exited, late]);
server.closeAllConnections();
server.close();
rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
for (const finding of findings) (ok ? console.log : console.error)(finding);
process.exitCode = ok ? 0 : 1;
