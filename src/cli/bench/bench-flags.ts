/**
 * The flags of `bench`, in the words of `vllm bench serve`; ours are marked. What they ask for is put
 * together in `bench-setup.ts`.
 */

import { type Command, Option } from 'commander';
import { BACKENDS } from '../../bench/backends/index.js';
import { DATASET_NAMES } from '../../bench/source.js';
import { addRows, LOAD, type Row } from '../simulate-flags.js';

const TARGET: readonly Row[] = [
  ['--backend <name>', `protocol: ${BACKENDS.map(({ name }) => name).join(', ')} (openai)`],
  ['--base-url <url>', 'server, with or without /v1'],
  ['--host <host>', 'instead of --base-url (127.0.0.1)'],
  ['--port <n>', "instead of --base-url (the backend's usual port)"],
  ['--endpoint <path>', "path of the API (the backend's)"],
  ['--model <name>', 'model to ask for; default: the first the server lists'],
  ['--served-model-name <name>', 'what the server calls it, where that differs'],
  ['--header <key=value...>', 'more headers; never printed or stored'],
  ['--insecure', 'do not check TLS certificates'],
  [
    '--ready-check-timeout-sec <s>',
    'wait this long for the first answer before the run (0: no check)',
  ],
  ['--extra-body <json>', 'fields for every request; they win'],
  ['--chat-template-kwargs <json>', 'arguments of the chat template'],
  ['--request-id-prefix <text>', 'of the x-request-id header'],
  ['--logprobs <n>', 'ask for log probabilities'],
  [
    '--ignore-eos',
    'answers exactly as long as asked (on for random lengths, off: --no-ignore-eos)',
  ],
  ['--lora-modules <names...>', 'models to spread the requests over'],
  ['--lora-assignment <how>', 'random or round-robin (random)'],
  ['--api-key <key>', 'own: default $OPENAI_API_KEY'],
  ['--request-timeout-sec <s>', 'own: for a whole answer (21600)'],
  ['--max-retries <n>', 'own: after 429, 503 or a lost connection, minding Retry-After (0)'],
];

const TOKENIZER: readonly Row[] = [
  ['--tokenizer <path>', 'tokenizer.json, its folder, or the name of a known model'],
  ['--tokenizer-mode <mode>', 'auto or slow: the same here'],
  ['--trust-remote-code', 'taken and not needed: no code of a model is run'],
  ['--skip-tokenizer-init', 'estimate where the server does not count'],
];

const MORE_LOAD: readonly Row[] = [
  ['--seed <n>', 'of every draw (0)'],
  ['--num-warmups <n>', 'requests before the measured ones (0)'],
  [
    '--probe-request-rate <r>',
    'besides, requests for one token, one at a time, past --max-concurrency (0: none)',
  ],
  ['--duration <s>', 'own: send for this long at most'],
  ['--workers <n>', 'own: threads that send (auto: one, and more when it uses over half a core)'],
  ['--find-rate [fraction]', 'own: highest rate at which this fraction (0.99) meets --goodput'],
];

const DATASET: readonly Row[] = [
  ['--dataset-name <name>', `${DATASET_NAMES.join(', ')} (random)`],
  ['--dataset-path <path>', 'file of the data set'],
  ['--input-len <n>', 'prompt tokens, where the data set lets you choose'],
  ['--output-len <n>', 'output tokens, instead of what the data set says'],
  ['--custom-output-len <n>', 'for custom (256); -1: as the rows say'],
  ['--sharegpt-output-len <n>', 'for sharegpt; default: as long as the recorded answer'],
  ['--sonnet-input-len <n>', 'for sonnet (550)'],
  ['--sonnet-output-len <n>', 'for sonnet (150)'],
  ['--sonnet-prefix-len <n>', 'for sonnet (200)'],
  ['--hf-output-len <n>', 'for hf; default: as long as the answer, or 128'],
  ['--hf-split <name>', 'files of a folder with this in their name'],
  ['--hf-column <name>', 'own: column of the prompt; default: by its name'],
  ['--random-mm-base-items-per-request <n>', 'for random-mm: pictures in a prompt (1)'],
  ['--random-mm-num-mm-items-range-ratio <r>', 'for random-mm: uniform in (1 ± r)·n (0)'],
  [
    '--random-mm-limit-mm-per-prompt <json>',
    'for random-mm: most in a prompt ({"image": 255, "video": 1})',
  ],
  [
    '--random-mm-bucket-config <dict>',
    'for random-mm: sizes and weights ({(256, 256, 1): 0.5, (720, 1280, 1): 0.5}); no videos',
  ],
  ['--no-oversample', 'fewer requests rather than repeated ones'],
  ['--disable-shuffle', 'in the order of the file'],
];

/** Taken for compatibility, without effect. */
const IGNORED = [
  '--skip-chat-template',
  '--no-stream',
  '--hf-subset <name>',
  '--hf-name <name>',
  '--custom-skip-chat-template',
];

export const SAMPLING = [
  'top_p',
  'top_k',
  'min_p',
  'temperature',
  'frequency_penalty',
  'presence_penalty',
  'repetition_penalty',
] as const;

const RESULT: readonly Row[] = [
  ['--save-result [file]', 'write the JSON result'],
  ['--save-detailed', 'with lists per request in it'],
  ['--append-result', 'add to the file instead of replacing it'],
  ['--metadata <key=value...>', 'more keys for the result'],
  ['--result-dir <folder>', 'where it goes (.)'],
  ['--result-filename <name>', 'its name; default: backend, rate, model and time'],
  ['--percentile-metrics <list>', 'what is told of ttft,tpot,itl,e2el (all four)'],
  ['--metric-percentiles <list>', 'percentiles (99)'],
  ['--goodput <bounds...>', 'what a good request meets, in ms: ttft:200 tpot:50 e2el:5000'],
  ['--label <text>', 'begins the name of the result file'],
  ['--disable-tqdm', 'no progress line'],
  ['--ttft-mode <mode>', 'own: vllm (first chunk with choices), content (first chunk with text)'],
  ['--json', 'own: print the JSON result instead of the table'],
  ['--save-requests <file>', 'own: a row per request, .jsonl or .csv; can be replayed as a trace'],
  ['--record <file>', 'own: every request with the times of its tokens, for replay'],
  ['--plot-timeline', 'write a timeline of the requests beside the result (.timeline.html)'],
  ['--timeline-itl-thresholds <list>', 'bounds between its colours of gaps, in ms (25,50)'],
  ['--plot-dataset-stats', 'write how long prompts and answers were (.dataset_stats.html)'],
  ['--html <file>', 'own: a report with charts, one file'],
];

export function addBenchFlags(command: Command): void {
  addRows(command, 'Server:', TARGET);
  for (const flags of ['--endpoint-type <name>', '--no-ignore-eos', '--oversample']) {
    command.addOption(new Option(flags).hideHelp());
  }
  addRows(command, 'Load, as in simulate:', [
    ...LOAD.filter(([flags]) => !flags.startsWith('--dataset-name')),
    ...MORE_LOAD,
  ]);
  addRows(command, 'Data set:', DATASET);
  addRows(
    command,
    'Sampling:',
    SAMPLING.map(
      (field): Row => [`--${field.replaceAll('_', '-')} <x>`, `${field} of every request`],
    ),
  );
  addRows(command, 'Tokens:', TOKENIZER);
  addRows(command, 'Result:', RESULT);
  for (const flags of IGNORED) command.addOption(new Option(flags).hideHelp());
}
