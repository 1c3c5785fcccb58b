/** `compare`: result files of `simulate`, `bench` and `vllm bench serve`, and recordings, side by side. */

import { readFileSync, writeFileSync } from 'node:fs';
import { ConfigError } from '../../core/errors.js';
import { unreadable } from '../../files/line-reader.js';
import { readRecording } from '../../files/recording.js';
import { jsonText } from '../../report/json.js';
import { checkOutput } from '../../report/output-file.js';
import { compareResults, comparisonText } from '../../report/result-comparison.js';
import { type SavedResult, savedResults } from '../../report/saved-result.js';
import type { DefineCommand } from '../command.js';
import { type Io, OK } from '../io.js';
import { resultOfRecording } from '../recorded-result.js';

export const defineCompare: DefineCommand = (command, io, exit) => {
  command
    .argument('<files...>', 'two or more JSON results or recordings; changes are against the first')
    .option('--json', 'print values and changes as JSON')
    .option('--html <file>', 'write a page with the table and the quantiles')
    .action(async (files: string[], flags: { json?: true; html?: string }) => {
      const results = files.flatMap((file) => resultsIn(file, io));
      if (results.length < 2) {
        throw new ConfigError('<files>', 'two results or more', `${results.length} in ${files[0]}`);
      }
      if (flags.html !== undefined) {
        checkOutput('--html', flags.html);
        const { comparisonHtml } = await import('../../report/comparison-html.js');
        writeFileSync(flags.html, await comparisonHtml(results));
      }
      const metrics = compareResults(results);
      const names = results.map(({ name }) => name);
      io.out(flags.json ? jsonText({ results: names, metrics }) : comparisonText(results));
      exit(OK);
    });
};

function resultsIn(file: string, io: Io): SavedResult[] {
  const onWarning = (text: string) => io.err(`${text}\n`);
  const recorded = () =>
    resultOfRecording(readRecording(file, { flag: '<files>', onWarning }), file);
  if (file.endsWith('.gz')) return [recorded()];
  const text = read(file);
  return text.startsWith('{"recording":') ? [recorded()] : savedResults(text, file);
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw unreadable('<files>', file, cause);
  }
}
