/**
 * The command line: finds the command, loads it and nothing else, not even a parser of flags where
 * there is no command, and turns errors into one clear message. The only place that ends the process.
 */

import { ConfigError, closest } from '../core/errors.js';
import { normaliseArgv } from './argv.js';
import { COMMANDS, type CommandEntry } from './commands/index.js';
import { type ExitCode, endWithReader, FAILED, type Io, OK } from './io.js';

/** Runs one command line; never throws for what a user can mend. */
export async function run(argv: readonly string[], io: Io): Promise<ExitCode> {
  const [word, ...rest] = argv;
  if (word === undefined || word === '--help' || word === '-h') return overview(io);
  if (word === 'help') return rest[0] ? run([rest[0], '--help'], io) : overview(io);
  if (word === '--version' || word === '-V') return version(io);
  const entry = COMMANDS.find(({ name }) => name === word);
  if (!entry) return unknownCommand(word, io);
  try {
    return await runCommand(entry, rest, io);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    io.err(errorText(error));
    return FAILED;
  }
}

async function runCommand(entry: CommandEntry, argv: string[], io: Io): Promise<ExitCode> {
  const [define, { Command, CommanderError }] = await Promise.all([
    entry.load(),
    import('commander'),
  ]);
  const command = new Command(`llmservingsim ${entry.name}`)
    .description(entry.about)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.out(text),
      writeErr: (text) => io.err(text),
      outputError: (text, write) =>
        write(`${text.trimEnd()}\nSee llmservingsim help ${entry.name}.\n`),
    });
  let exitCode = OK;
  define(command, io, (code) => {
    exitCode = code;
  });
  try {
    await command.parseAsync(normaliseArgv(argv), { from: 'user' });
  } catch (error) {
    // It has told the user: help that was asked for, or what is wrong with the flags.
    if (error instanceof CommanderError) return error.exitCode === 0 ? OK : FAILED;
    throw error;
  }
  return exitCode;
}

function overview(io: Io): ExitCode {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length));
  const lines = COMMANDS.map(({ name, about }) => `  ${name.padEnd(width)}  ${about}`);
  io.out(
    [
      'Usage: llmservingsim <command> [options]',
      '',
      'LLM serving, simulated without GPUs.',
      '',
      'Commands:',
      ...lines,
      `  ${'help'.padEnd(width)}  this text; help <command> for its options`,
      '',
      'First steps:',
      '  llmservingsim setup-perf                                       what runs on which GPU, and how fast',
      '  llmservingsim server --model qwen/Qwen3-8B --hardware A100     an OpenAI endpoint with that timing',
      '  llmservingsim test-api http://localhost:8000                   does it answer as clients expect? (another terminal)',
      '  llmservingsim simulate --model qwen/Qwen3-8B --hardware A100 --request-rate 8 --num-prompts 1000',
      '                                                                 the same under load, in a second',
      '',
    ].join('\n'),
  );
  return OK;
}

async function version(io: Io): Promise<ExitCode> {
  const { packageVersion } = await import('./version.js');
  io.out(`${packageVersion()}\n`);
  return OK;
}

function unknownCommand(word: string, io: Io): ExitCode {
  const near = closest(word, [...COMMANDS.map(({ name }) => name), 'help']);
  io.err(
    [
      `error: unknown ${word.startsWith('-') ? 'option' : 'command'} '${word}'`,
      ...(near ? [`Did you mean ${near}?`] : []),
      'See llmservingsim help.',
      '',
    ].join('\n'),
  );
  return FAILED;
}

const LONGEST_LINE = 400;
const MOST_LINES = 11;

/** At most `MOST_LINES` lines; what a user sees of an error. */
function errorText(error: ConfigError): string {
  const lines = `error: ${error.message}`.split('\n').slice(0, MOST_LINES);
  const cut = (line: string) =>
    line.length > LONGEST_LINE ? `${line.slice(0, LONGEST_LINE)} ...` : line;
  return `${lines.map(cut).join('\n')}\n`;
}

/** The process's own command line. */
export async function main(): Promise<void> {
  endWithReader(process.stdout);
  process.exitCode = await run(process.argv.slice(2), {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    errIsTerminal: process.stderr.isTTY === true,
    onInterrupt(stop) {
      process.once('SIGINT', stop);
      return () => process.off('SIGINT', stop);
    },
    onStop(stop) {
      process.on('SIGINT', stop);
      process.on('SIGTERM', stop);
    },
  });
}
