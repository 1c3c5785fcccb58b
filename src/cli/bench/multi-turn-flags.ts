/** The flags of `bench multi-turn`: vLLM's `benchmark_serving_multi_turn.py`, and ours, marked. */

import { type Command, Option } from 'commander';
import { addRows, type Row } from '../simulate-flags.js';

const RUN: readonly Row[] = [
  ['-i, --input-file <file>', 'conversations, or how to generate them (JSON)'],
  ['-o, --output-file <file>', 'write the conversations with the answers they got'],
  ['-m, --model <name>', 'model to ask for'],
  ['--served-model-name <name>', 'what the server calls it, where that differs'],
  ['-u, --url <url>', 'server (http://localhost:8000)'],
  ['--api-key <key>', 'default $OPENAI_API_KEY'],
  ['--header <key=value...>', 'more headers; never printed or stored'],
  ['--insecure', 'own: do not check TLS certificates'],
  ['--tokenizer <path>', 'own: tokenizer.json; default: the nearest built-in vocabulary'],
  ['--seed <n>', 'of every draw (0)'],
];

const LOAD: readonly Row[] = [
  ['-p, --num-clients <n>', 'clients, each with one request in flight (1)'],
  ['-k, --max-active-conversations <n>', 'over all clients (as many as clients)'],
  ['-n, --max-num-requests <n>', 'over all clients; default: all turns'],
  ['--request-rate <r>', 'of each client, Poisson pauses between requests; 0: none (0)'],
  ['--max-turns <n>', 'messages of a conversation, both sides counted'],
  ['--warmup-step', 'send all first turns once before, unmeasured'],
  ['--no-early-stop', 'let clients go on when one has nothing left'],
  ['--limit-min-tokens <n>', 'of an answer; 0: as recorded, negative: none (0)'],
  ['--limit-max-tokens <n>', 'of an answer; 0: as recorded, negative: none (0)'],
  ['--conversation-sampling <how>', 'round_robin or random (round_robin)'],
  ['--max-retries <n>', 'after 429, 503 or a lost connection (0)'],
  ['--request-timeout-sec <s>', 'for a whole answer (120)'],
  ['--workers <n>', 'own: threads that send (auto: one, and more when it uses over half a core)'],
  ['--send-conversation-id', 'in the body and as X-Session-ID'],
  ['--verify-output', 'answers must be those of the file'],
];

const RESULT: readonly Row[] = [
  ['-e, --excel-output', 'write a workbook, or CSV files where the writer is absent'],
  ['--result-dir <folder>', 'own: where it goes (.)'],
  ['--stats-json-output <file>', 'write the statistics as JSON'],
  ['--warmup-percentages <list>', 'leave out the first part of the requests: 0%,20%,50% (0%)'],
  ['--json', 'own: print the statistics as JSON'],
  ['-v, --verbose', 'say more'],
  ['--print-content', 'print questions and answers'],
];

export function addMultiTurnFlags(command: Command): void {
  addRows(command, 'Run:', RUN);
  addRows(command, 'Load:', LOAD);
  addRows(command, 'Result:', RESULT);
  for (const flags of ['--trust-remote-code', '--early-stop', '--no-stream']) {
    command.addOption(new Option(flags).hideHelp());
  }
}
