/** `bench multi-turn`: conversations played by several clients, as vLLM's multi-turn benchmark does. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { backendNamed } from '../../bench/backends/index.js';
import {
  type ClientHealth,
  healthJson,
  healthLine,
  healthOf,
  healthWarnings,
} from '../../bench/client-health.js';
import { baseOf, takeCredentials, urlOf } from '../../bench/endpoint.js';
import { type FailureClass, FailureCounts, failureLine } from '../../bench/failures.js';
import { type Conversation, readConversations } from '../../bench/multi-turn/conversations.js';
import { checkPlay, type Played, type PlayOptions, play } from '../../bench/multi-turn/play.js';
import { type RunSummary, sheetsOf } from '../../bench/multi-turn/sheets.js';
import {
  byTurn,
  byTurnText,
  rowsOf,
  statisticsOf,
  statisticsText,
} from '../../bench/multi-turn/statistics.js';
import { excelWriter, writeWorkbook } from '../../bench/multi-turn/workbook.js';
import type { SenderSpec } from '../../bench/threads/sender-spec.js';
import { SpreadSender } from '../../bench/threads/spread-sender.js';
import { tokenizerCounter } from '../../bench/token-counter.js';
import { ConfigError } from '../../core/errors.js';
import { grouped, short } from '../../report/format.js';
import { checkOutput, unwritable } from '../../report/output-file.js';
import { jsonText } from '../../report/result-json.js';
import { timeoutMsOf, workersOf } from '../bench/bench-setup.js';
import { headersOf } from '../bench/bench-target.js';
import { addMultiTurnFlags } from '../bench/multi-turn-flags.js';
import { tokenizerOf } from '../bench/tokenizers.js';
import type { DefineCommand } from '../command.js';
import { type ExitCode, FAILED, INTERRUPTED, type Io, OK } from '../io.js';
import { type Flags, Reader } from '../simulate-flags.js';

export const defineMultiTurn: DefineCommand = (command, io, exit) => {
  addMultiTurnFlags(command);
  command.action(async (flags: Flags) => exit(await multiTurn(flags, io)));
};

const TIMEOUT_S = 120;
/** The longest time a token may take, for the time-out of long answers. */
const SECONDS_PER_TOKEN = 0.2;

async function multiTurn(flags: Flags, io: Io): Promise<ExitCode> {
  const given = new Reader(flags);
  const required = (field: string): string => {
    const value = given.text(field);
    if (value !== undefined) return value;
    throw new ConfigError(`--${field.replaceAll('_', '-')}`, 'a value', undefined);
  };
  const input = required('input_file');
  const model = required('model');
  const seed = given.countFrom(0, 'seed') ?? 0;
  const { tokenizer, origin } = await tokenizerOf(given, model);
  const conversations = readConversations(input, seed, tokenizer);
  const percentages = percentagesOf(given.text('warmup_percentages') ?? '0%');
  const numClients = given.count('num_clients') ?? 1;
  const numbers = {
    conversations,
    numClients,
    maxActive: given.count('max_active_conversations') ?? numClients,
    maxRequests: given.count('max_num_requests'),
  };
  checkPlay(numbers);
  for (const flag of ['output-file', 'stats-json-output']) {
    const path = given.text(flag.replaceAll('-', '_'));
    if (path !== undefined) checkOutput(`--${flag}`, path);
  }
  const limits = limitsOf(given);
  const spec = specOf(flags, given, model, conversations);
  const counter = tokenizerCounter(tokenizer);
  const workers = workersOf(given.text('workers'));
  const sender = new SpreadSender({ ...spec, tokenizer: origin }, workers, counter);
  const stop = new AbortController();
  const release = io.onInterrupt(() => stop.abort());
  try {
    await sender.ready();
    const played = await play({
      ...numbers,
      sender,
      limits,
      seed,
      maxTurns: given.countFrom(1, 'max_turns'),
      requestRate: given.numberFrom(0, 'request_rate') ?? 0,
      sampling: samplingOf(given.text('conversation_sampling') ?? 'round_robin'),
      earlyStop: flags.earlyStop !== false,
      countTokens: (text) => tokenizer.count(text),
      sendConversationId: flags.sendConversationId === true,
      warmUp: flags.warmupStep === true,
      verify: flags.verifyOutput === true,
      signal: stop.signal,
      onTurn: teller(flags, io),
    });
    const health = healthOf(await sender.finish());
    return await finish(
      played,
      { flags, given, io, numClients, input, model, percentages, health },
      stop.signal.aborted,
    );
  } finally {
    release();
    sender.close();
  }
}

function specOf(
  flags: Flags,
  given: Reader,
  model: string,
  conversations: readonly Conversation[],
): SenderSpec {
  const base = baseOf({ baseUrl: given.text('url') ?? 'http://localhost:8000' });
  const { headers, secrets } = headersOf(flags, given, process.env, takeCredentials(base));
  const backend = backendNamed('openai-chat');
  const longest = Math.max(
    0,
    ...conversations.flatMap(({ messages }) =>
      messages.map(({ role, content }) => (role === 'assistant' ? content.length / 4 : 0)),
    ),
  );
  return {
    backend: backend.name,
    url: urlOf(base, backend.path).href,
    insecure: flags.insecure === true,
    headers,
    secrets,
    settings: {
      model: given.text('served_model_name') ?? model,
      sampling: {},
      ignoreEos: false,
    },
    timeoutMs: Math.max(timeoutMsOf(given, TIMEOUT_S), SECONDS_PER_TOKEN * 1e3 * longest),
    maxRetries:
      given.countFrom(0, 'max_retries') ?? Number(process.env.MULTITURN_BENCH_MAX_RETRIES ?? 0),
    keepText: true,
  };
}

function limitsOf(given: Reader): PlayOptions['limits'] {
  const min = given.count('limit_min_tokens') ?? 0;
  const max = given.count('limit_max_tokens') ?? 0;
  if (min > 0 !== max > 0 && (min > 0 || max > 0) && min >= 0 && max >= 0) {
    throw new ConfigError('--limit-min-tokens', 'both limits or none', `${min} and ${max}`);
  }
  if (min > 0 && max > 0 && min > max) {
    throw new ConfigError('--limit-min-tokens', `at most --limit-max-tokens (${max})`, min);
  }
  return (recorded) => {
    const bounded = { max: max > 0 ? max : max < 0 ? MOST_TOKENS : Math.max(1, recorded) };
    if (min < 0) return bounded;
    return { ...bounded, min: min > 0 ? min : Math.max(1, recorded) };
  };
}

/** No limit, in words every server understands. */
const MOST_TOKENS = 16_384;

function samplingOf(name: string): PlayOptions['sampling'] {
  if (name === 'round_robin' || name === 'random') return name;
  throw new ConfigError('--conversation-sampling', 'round_robin or random', name);
}

function percentagesOf(text: string): number[] {
  return text.split(',').map((item) => {
    const value = Number(item.trim().replace(/%$/, ''));
    if (item.trim() !== '' && value >= 0 && value < 100) return value;
    throw new ConfigError('--warmup-percentages', 'a list like 0%,20%,50%', text);
  });
}

function teller(flags: Flags, io: Io): NonNullable<PlayOptions['onTurn']> {
  let done = 0;
  return ({ conversation, numTurns, record }) => {
    done++;
    if (flags.printContent) io.err(`${conversation}: ${record.text}\n`);
    else if (flags.verbose) {
      io.err(`${conversation}, ${numTurns} messages: ${record.failure?.message ?? 'answered'}\n`);
    } else if (io.errIsTerminal) io.err(`\r\x1b[2K${done} requests done`);
  };
}

interface Finish {
  readonly flags: Flags;
  readonly given: Reader;
  readonly io: Io;
  readonly numClients: number;
  readonly input: string;
  readonly model: string;
  readonly percentages: readonly number[];
  readonly health: ClientHealth;
}

async function finish(played: Played, run: Finish, stopped: boolean): Promise<ExitCode> {
  const { flags, given, io, numClients, percentages, health } = run;
  const rows = rowsOf(played);
  const runtimeS = played.runtimeMs / 1e3;
  const failed = played.turns.length - rows.length;
  const parameters = {
    model: run.model,
    input_file: run.input,
    num_clients: numClients,
    runtime_sec: runtimeS,
    requests_per_sec: rows.length / runtimeS,
    ...(played.warmUpMs > 0 && {
      warmup_runtime_sec: played.warmUpMs / 1e3,
      total_runtime_incl_warmup_sec: runtimeS + played.warmUpMs / 1e3,
    }),
    completed: rows.length,
    failed,
  };
  const summary: RunSummary = { parameters, rows, statistics: statisticsOf(rows, percentages) };
  const json = () =>
    jsonText({
      ...parameters,
      statistics: summary.statistics.map(({ warmupPercent, columns }) => ({
        warmup_percent: warmupPercent,
        ...columns,
      })),
      per_turn: byTurn(rows),
      failures: failuresOf(played),
      client: { ...healthJson(health), warnings: healthWarnings(health) },
    });
  io.out(flags.json ? json() : text(summary, played) + healthText(health));
  save('--stats-json-output', given.text('stats_json_output'), json);
  save('--output-file', given.text('output_file'), () => jsonText(played.conversations));
  if (flags.excelOutput) {
    const writer = await excelWriter();
    if (!writer) io.err('The writer of Excel files is not installed: CSV files instead.\n');
    const base = join(
      given.text('result_dir') ?? '.',
      `statistics_${numClients}_clients__${dayStamp(new Date())}`,
    );
    checkOutput('--result-dir', `${base}.${writer ? 'xlsx' : 'csv'}`);
    const files = await writeWorkbook(base, sheetsOf(summary), writer);
    if (!flags.json) io.out(`Written: ${files.join(', ')}\n`);
  }
  if (stopped) return INTERRUPTED;
  return rows.length > 0 ? OK : FAILED;
}

function text({ parameters, statistics, rows }: RunSummary, played: Played): string {
  const lines = Object.entries(parameters).map(
    ([name, value]) =>
      `${name}: ${typeof value !== 'number' ? value : Number.isInteger(value) ? grouped(value) : short(value)}`,
  );
  const parts = statistics.map(
    (part) =>
      `${part.warmupPercent > 0 ? `Without the first ${part.warmupPercent} %:\n` : ''}${statisticsText(part)}`,
  );
  const failures = failuresOf(played).map((failure) => `${failureLine(failure)}\n`);
  const turns = rows.length > 0 ? `By messages sent:\n${byTurnText(byTurn(rows))}` : '';
  return `${lines.join('\n')}\n\n${[...parts, turns].join('\n')}${failures.join('')}`;
}

const healthText = (health: ClientHealth): string =>
  [healthLine(health), ...healthWarnings(health).map((warning) => `Warning: ${warning}.`), ''].join(
    '\n',
  );

function failuresOf({ turns }: Played): FailureClass[] {
  const failures = new FailureCounts();
  for (const { record } of turns) if (record.failure) failures.add(record.failure);
  return failures.classes();
}

function save(flag: string, path: string | undefined, content: () => string): void {
  if (path === undefined) return;
  try {
    writeFileSync(path, content());
  } catch (cause) {
    throw unwritable(flag, path, cause);
  }
}

/** `28-10-2025_13-45-01`, as vLLM names its files. */
function dayStamp(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const day = [two(date.getDate()), two(date.getMonth() + 1), date.getFullYear()].join('-');
  return `${day}_${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join('-')}`;
}
