#!/usr/bin/env node
/**
 * The launcher: plain JavaScript, so that it exists before anything is built. What it loads is bundled
 * into a file per command: opening a hundred small modules takes longer than simulating a small load.
 */
const main = new URL('../../dist/cli/main.js', import.meta.url);

let loaded;
try {
  loaded = await import(main.href);
} catch (error) {
  if (error.code !== 'ERR_MODULE_NOT_FOUND' || error.url !== main.href) throw error;
  console.error('llmservingsim is not built yet. Run `npm run build` first (`npm ci` does).');
  process.exit(1);
}
await loaded.main();
