/**
 * The flags of `server`: what runs, in the words of `vllm serve`, where it listens, and how it behaves.
 * The original's spellings (`--idle_mode`, `--http_host`, `--model_name`, ...) are taken as well.
 */

import { readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { ConfigError } from '../../core/errors.js';
import { unreadable } from '../../files/line-reader.js';
import { API_PROFILES, type ApiProfile } from '../../openai/index.js';
import { addRows, type Flags, type Row } from '../simulate-flags.js';
import { numberOf } from '../values.js';
import { GRPC_ROWS, type GrpcOptions, grpcOptions } from './grpc-flags.js';

const LISTENS: readonly Row[] = [
  ['--host <address>', 'address to listen on (127.0.0.1); 0.0.0.0: everywhere'],
  ['--port <n>', 'port of the OpenAI endpoint (8000)'],
  ['--ssl-certfile <file>', 'certificate in PEM: both ports speak TLS'],
  ['--ssl-keyfile <file>', 'its key'],
  ['--grpc-port <n>', 'port of gRPC (50051, or none when that is taken); 0: no gRPC'],
];

const BEHAVES: readonly Row[] = [
  ['--speed <x>', 'simulated seconds per second (1); inf: answer as fast as possible'],
  ['--served-model-name <names...>', 'names clients may use, instead of --model'],
  ['--lora-modules <names...>', 'adapters as models: name=path or {"name":…} (with --enable-lora)'],
  ['--api-profile <name>', 'frames and errors as of: openai (default), vllm'],
  ['--api-key <key>', 'requests must carry this key'],
  ['--allowed-origins <list>', 'web pages that may call: a JSON list or a,b (["*"])'],
  ['--tokenizer <file>', 'tokenizer.json of the model; default: the nearest built-in vocabulary'],
  ['--time-to-first-token <ms>', 'given times instead of simulated ones, for tests of clients'],
  ['--inter-token-latency <ms>', 'the same for each further token; fractions allowed'],
  ['--record <file>', 'write every request with the times of its tokens: .jsonl or .jsonl.gz'],
  ['--record-text', 'with the text of the prompts, which is left out otherwise'],
  ['--playback <file>', 'tokens leave as they were recorded, instead of simulated times'],
  ['--verbose', 'log more: ids, why a request was refused, idle moments'],
  ['--log-json', 'log lines as JSON'],
];

/** The original's names, and what they are called here. */
const ORIGINAL: readonly (readonly [flags: string, attribute: string])[] = [
  ['--idle-mode', 'idleMode'],
  ['--http-host <address>', 'httpHost'],
  ['--http-port <n>', 'httpPort'],
  ['--model-name <name>', 'modelName'],
];

export function addServerFlags(command: Command): void {
  addRows(command, 'Listens:', LISTENS);
  addRows(command, 'Behaves:', BEHAVES);
  addRows(command, 'gRPC, with the words of its channel arguments:', GRPC_ROWS);
  for (const [flags] of ORIGINAL) command.addOption(new Option(flags).hideHelp());
}

export interface ServerOptions {
  readonly host: string;
  readonly port: number;
  readonly grpcPort: number;
  /** Whether the gRPC port was asked for: then it must be had. */
  readonly grpcPortGiven: boolean;
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | undefined;
  readonly speed: number;
  readonly servedModelNames: readonly string[];
  /** LoRA adapters that clients may ask for by name. */
  readonly loraModules: readonly LoraModule[];
  readonly profile: ApiProfile;
  readonly apiKey: string | undefined;
  readonly tokenizer: string | undefined;
  readonly given: { readonly ttftMs: number; readonly itlMs: number } | undefined;
  /** Where requests are recorded. */
  readonly record: string | undefined;
  /** With the text of their prompts. */
  readonly recordText: boolean;
  /** A recording whose times are played back. */
  readonly playback: string | undefined;
  /** Origins of web pages that may call; `*`: of all. */
  readonly allowedOrigins: readonly string[];
  readonly grpc: GrpcOptions;
  readonly verbose: boolean;
  readonly logJson: boolean;
}

export interface LoraModule {
  readonly name: string;
  readonly path: string;
}

/** `name=path`, or an object in JSON, as vLLM takes them. The path is told to clients and never read. */
function loraModulesOf(given: unknown): LoraModule[] {
  const texts = Array.isArray(given) ? (given as string[]) : [];
  const modules = texts.map((text) => {
    const module = text.trimStart().startsWith('{') ? fromJson(text) : fromPair(text);
    if (module) return module;
    const example = '{"name": "sql", "path": "adapters/sql"}';
    throw new ConfigError('--lora-modules', `name=path, or ${example}`, text);
  });
  const twice = modules.find(({ name }, i) => modules.findIndex((m) => m.name === name) < i);
  if (twice) throw new ConfigError('--lora-modules', 'names that differ', twice.name);
  return modules;
}

function fromPair(text: string): LoraModule | undefined {
  const [, name, path] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  return name === undefined || path === undefined ? undefined : { name, path };
}

function fromJson(text: string): LoraModule | undefined {
  try {
    const { name, path } = JSON.parse(text);
    if (typeof name === 'string' && name !== '' && typeof path === 'string') return { name, path };
  } catch {}
  return undefined;
}

export const DEFAULT_MODEL = 'meta-llama/Llama-3.1-8B-Instruct';
export const DEFAULT_HARDWARE = 'H100';
const DEFAULT_GRPC_PORT = 50_051;

type Environment = Readonly<Record<string, string | undefined>>;

/** The flags with the original's spellings, the environment and the defaults filled in. */
export function completeFlags(flags: Flags, env: Environment): Flags {
  const configured = flags.config !== undefined;
  const model = flags.model ?? flags.modelName ?? env.LLMSERVINGSIM_MODEL;
  return {
    ...flags,
    model: model ?? (configured ? undefined : DEFAULT_MODEL),
    hardware: flags.hardware ?? (configured ? undefined : DEFAULT_HARDWARE),
    host: flags.host ?? flags.httpHost ?? env.LLMSERVINGSIM_HOST ?? '127.0.0.1',
    port: flags.port ?? flags.httpPort ?? env.LLMSERVINGSIM_PORT ?? '8000',
    apiKey: flags.apiKey ?? env.LLMSERVINGSIM_API_KEY,
  };
}

/** @throws {ConfigError} naming the flag */
export function serverOptions(flags: Flags): ServerOptions {
  const text = (key: string) => (typeof flags[key] === 'string' ? flags[key] : undefined);
  const profile = text('apiProfile') ?? 'openai';
  if (!isProfile(profile)) throw new ConfigError('--api-profile', API_PROFILES.join(', '), profile);
  const ttft = millisecondsOf('--time-to-first-token', text('timeToFirstToken'));
  const itl = millisecondsOf('--inter-token-latency', text('interTokenLatency'));
  const grpcPort = text('grpcPort');
  return {
    host: text('host')!,
    port: portOf('--port', text('port')!),
    grpcPort: grpcPort === undefined ? DEFAULT_GRPC_PORT : portOf('--grpc-port', grpcPort),
    grpcPortGiven: grpcPort !== undefined,
    tls: tlsOf(text('sslCertfile'), text('sslKeyfile')),
    speed: speedOf(text('speed')),
    servedModelNames: Array.isArray(flags.servedModelName) ? flags.servedModelName : [],
    loraModules: loraModulesOf(flags.loraModules),
    profile,
    apiKey: text('apiKey'),
    tokenizer: text('tokenizer'),
    given:
      ttft === undefined && itl === undefined ? undefined : { ttftMs: ttft ?? 0, itlMs: itl ?? 0 },
    record: text('record'),
    recordText: recordsText(flags),
    allowedOrigins: originsOf(text('allowedOrigins')),
    grpc: grpcOptions(flags),
    playback: text('playback'),
    verbose: flags.verbose === true,
    logJson: flags.logJson === true,
  };
}

/** A list in JSON, as vLLM takes it, or with commas. */
function originsOf(text: string | undefined): readonly string[] {
  if (text === undefined) return ['*'];
  const origins = text.trimStart().startsWith('[')
    ? jsonList(text)
    : text.split(',').map((origin) => origin.trim());
  const right = origins?.every((origin) => origin === '*' || originOf(origin) === origin);
  if (origins && right) return origins;
  const expected = '*, or origins of scheme, host and port, as ["https://a.example:8443"]';
  throw new ConfigError('--allowed-origins', expected, text);
}

function originOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).origin : undefined;
}

function jsonList(text: string): string[] | undefined {
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) ? list.map(String) : undefined;
  } catch {
    return undefined;
  }
}

function recordsText({ record, recordText }: Flags): boolean {
  if (recordText !== true) return false;
  if (record !== undefined) return true;
  throw new ConfigError('--record-text', 'a file to record to: --record FILE', undefined);
}

const isProfile = (name: string): name is ApiProfile =>
  (API_PROFILES as readonly string[]).includes(name);

function tlsOf(cert: string | undefined, key: string | undefined): ServerOptions['tls'] {
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined) throw new ConfigError('--ssl-certfile', 'the certificate', undefined);
  if (key === undefined) throw new ConfigError('--ssl-keyfile', 'the key', undefined);
  return { cert: pem('--ssl-certfile', cert), key: pem('--ssl-keyfile', key) };
}

function pem(flag: string, path: string): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw unreadable(flag, path, cause);
  }
  if (bytes.includes('-----BEGIN')) return bytes;
  throw new ConfigError(flag, 'a PEM file', path);
}

function portOf(flag: string, text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535 && text.trim() !== '') return port;
  throw new ConfigError(flag, 'a port from 0 to 65535', text);
}

function speedOf(text: string | undefined): number {
  if (text === undefined) return 1;
  const speed = numberOf('--speed', text, true);
  if (speed > 0) return speed;
  throw new ConfigError('--speed', 'a factor above 0, or inf', text);
}

function millisecondsOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = numberOf(flag, text);
  if (ms >= 0) return ms;
  throw new ConfigError(flag, 'milliseconds, at least 0', text);
}
