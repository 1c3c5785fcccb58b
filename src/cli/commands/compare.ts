/** `compare`: result files of `simulate`, `bench` and `vllm bench serve` side by side. */

import { readFileSync, writeFileSync } from 'node:fs';
import { ConfigError } from '../../core/errors.js';
import { unreadable } from '../../files/line-reader.js';
import { checkOutput } from '../../report/output-file.js';
import { compareResults, comparisonText } from '../../report/result-comparison.js';
import { jsonText } from '../../report/result-json.js';
import { savedResults } from '../../report/saved-result.js';
import type { DefineCommand } from '../command.js';
import { OK } from '../io.js';

export const defineCompare: DefineCommand = (command, io, exit) => {
  command
    .argument('<files...>', 'two or more JSON results; changes are against the first')
    .option('--json', 'print values and changes as JSON')
    .option('--html <file>', 'write a page with the table and the quantiles')
    .action(async (files: string[], flags: { json?: true; html?: string }) => {
      const results = files.flatMap((file) => savedResults(read(file), file));
      if (results.length < 2) {
        throw new ConfigError('<files>', 'two results or more', `${results.length} in ${files[0]}`);
      }
      if (flags.html !== undefined) {
        checkOutput('--html', flags.html);
        const { comparisonHtml } = await import('../../report/comparison-html.js');
        writeFileSync(flags.html, comparisonHtml(results));
      }
      const metrics = compareResults(results);
      const names = results.map(({ name }) => name);
      io.out(flags.json ? jsonText({ results: names, metrics }) : comparisonText(results));
      exit(OK);
    });
};

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw unreadable('<files>', file, cause);
  }
}
