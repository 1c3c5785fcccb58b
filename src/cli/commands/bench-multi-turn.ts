/** `bench multi-turn`: conversations played by several clients, as vLLM's multi-turn benchmark does. */

import { backendNamed } from '../../bench/backends/index.js';
import { healthOf } from '../../bench/client-health.js';
import { baseOf, takeCredentials, urlOf } from '../../bench/endpoint.js';
import { type Conversation, readConversations } from '../../bench/multi-turn/conversations.js';
import { checkPlay, type PlayOptions, play } from '../../bench/multi-turn/play.js';
import type { SenderSpec } from '../../bench/threads/sender-spec.js';
import { SpreadSender } from '../../bench/threads/spread-sender.js';
import { tokenizerCounter } from '../../bench/token-counter.js';
import { ConfigError } from '../../core/errors.js';
import { checkFolder, checkOutput } from '../../report/output-file.js';
import { timeoutMsOf, workersOf } from '../bench/bench-setup.js';
import { headersOf } from '../bench/bench-target.js';
import { addMultiTurnFlags } from '../bench/multi-turn-flags.js';
import { tellRun } from '../bench/multi-turn-output.js';
import { tokenizerOf } from '../bench/tokenizers.js';
import type { DefineCommand } from '../command.js';
import type { ExitCode, Io } from '../io.js';
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
  if (flags.excelOutput) checkFolder('--result-dir', given.text('result_dir') ?? '.');
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
    return await tellRun(
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
