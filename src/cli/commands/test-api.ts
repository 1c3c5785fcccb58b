/** `test-api`: whether an OpenAI-compatible server answers as clients expect, as a list of checks. */

import { jsonText } from '../../report/json.js';
import type { DefineCommand } from '../command.js';
import { FAILED, type Io, OK } from '../io.js';
import { CHECKS, type Check, type Target } from '../test-api/checks.js';
import { ApiClient, CheckFailure } from '../test-api/client.js';

const DEFAULT_URL = 'http://localhost:8000';

export interface CheckResult {
  readonly name: string;
  /** `skip`: it does not apply to this server. */
  readonly outcome: 'ok' | 'failed' | 'skip';
  readonly detail: string;
  readonly ms: number;
}

interface TestApiFlags {
  readonly json?: true;
  readonly apiKey?: string;
  readonly model?: string;
}

export const defineTestApi: DefineCommand = (command, io, exit) => {
  command
    .argument('[url]', 'of the server, with or without /v1', DEFAULT_URL)
    .option('--model <name>', 'model to ask; default: the first the server lists')
    .option('--api-key <key>', 'key to send (or OPENAI_API_KEY)')
    .option('--json', 'as JSON')
    .action(async (url: string, { json, apiKey, model }: TestApiFlags) => {
      const client = new ApiClient(
        /^https?:/.test(url) ? url : `http://${url}`,
        apiKey ?? process.env.OPENAI_API_KEY,
      );
      const target: Target = { client, model: model ?? '', maxModelLen: undefined };
      if (!json) io.out(`Checking ${client.base}\n\n`);
      const results: CheckResult[] = [];
      for await (const result of runChecks(target)) {
        results.push(result);
        if (!json) io.out(line(result));
      }
      exit(conclude(client.base, results, json === true, io));
    });
};

/** Check after check; after an essential one has failed, none. */
async function* runChecks(target: Target): AsyncGenerator<CheckResult> {
  for (const check of CHECKS) {
    const result = await runCheck(check, target);
    yield result;
    if (result.outcome === 'failed' && check.essential) return;
  }
}

async function runCheck({ name, run }: Check, target: Target): Promise<CheckResult> {
  const startedAt = performance.now();
  const took = () => Math.round(performance.now() - startedAt);
  try {
    const seen = await run(target);
    return seen === undefined
      ? { name, outcome: 'skip', detail: 'not offered by this server', ms: took() }
      : { name, outcome: 'ok', detail: seen, ms: took() };
  } catch (error) {
    if (!(error instanceof CheckFailure)) throw error;
    return { name, outcome: 'failed', detail: error.message, ms: took() };
  }
}

const WORDS = { ok: 'ok    ', failed: 'FAILED', skip: 'skip  ' } as const;
const NAME_WIDTH = Math.max(...CHECKS.map(({ name }) => name.length));

const line = ({ name, outcome, detail, ms }: CheckResult): string =>
  `${WORDS[outcome]}  ${name.padEnd(NAME_WIDTH)}  ${String(ms).padStart(5)} ms  ${detail}\n`;

function conclude(url: string, results: readonly CheckResult[], json: boolean, io: Io) {
  const count = (outcome: CheckResult['outcome']) =>
    results.filter((result) => result.outcome === outcome).length;
  const failed = count('failed');
  if (json) {
    io.out(jsonText({ url, passed: count('ok'), failed, skipped: count('skip'), checks: results }));
  } else {
    const left = CHECKS.length - results.length;
    io.out(`\n${count('ok')} passed, ${failed} failed${left > 0 ? `, ${left} not tried` : ''}\n`);
    if (results[0]?.outcome === 'failed') {
      io.out('Start a server first: llmservingsim server\n');
    }
  }
  return failed === 0 ? OK : FAILED;
}
