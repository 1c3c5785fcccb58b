/** `bench`: load on any LLM endpoint, measured with the words, keys and formulas of `vllm bench serve`. */

import { writeFileSync } from 'node:fs';
import type { BenchResult } from '../../bench/result.js';
import { benchJson } from '../../bench/result-json.js';
import { resultNotes, resultTable } from '../../bench/result-table.js';
import { jsonText } from '../../report/json.js';
import { addBenchFlags } from '../bench/bench-flags.js';
import { checkFiles, saveBenchResult, savePlots, saveRows } from '../bench/bench-output.js';
import { runFlags } from '../bench/bench-run.js';
import { sweep, sweptFlags } from '../bench/bench-sweep.js';
import { defineSelfCheck } from '../bench/self-check.js';
import type { DefineCommand } from '../command.js';
import { type ExitCode, FAILED, INTERRUPTED, type Io, OK } from '../io.js';
import type { Flags } from '../simulate-flags.js';
import { defineMultiTurn } from './bench-multi-turn.js';

export const defineBench: DefineCommand = (command, io, exit) => {
  command.enablePositionalOptions();
  addBenchFlags(command);
  const multiTurn = command.command('multi-turn');
  multiTurn.description('conversations of several turns, played by several clients');
  defineMultiTurn(multiTurn, io, exit);
  const selfCheck = command.command('self-check');
  selfCheck.description("this client's own bias, against a server with known times");
  defineSelfCheck(selfCheck, io, exit);
  command.action(async (flags: Flags) => exit(await bench(flags, io)));
};

async function bench(flags: Flags, io: Io): Promise<ExitCode> {
  checkFiles(flags);
  const variants = sweptFlags(flags);
  if (variants.length > 1 || flags.findRate) return sweep(flags, variants, io);
  const result = await runFlags(flags, io);
  return finish(result, flags, io);
}

async function finish(result: BenchResult, flags: Flags, io: Io): Promise<ExitCode> {
  const saved = saveBenchResult(flags, result);
  const plots = await savePlots(flags, result);
  if (typeof flags.saveRequests === 'string') saveRows(flags.saveRequests, result);
  if (typeof flags.record === 'string') {
    const { recordResult } = await import('../../bench/recording.js');
    recordResult(flags.record, result);
  }
  if (typeof flags.html === 'string') {
    const { reportHtml } = await import('../../bench/report-html.js');
    writeFileSync(flags.html, await reportHtml([result]));
  }
  if (flags.json) {
    io.out(jsonText(benchJson(result, flags.saveDetailed === true)));
  } else {
    io.out(`${resultTable(result)}${resultNotes(result)}`);
    if (saved !== undefined) io.out(`Result: ${saved}\n`);
    for (const plot of plots) io.out(`Plot: ${plot}\n`);
  }
  if (result.stopped) return INTERRUPTED;
  return result.measured.completed > 0 ? OK : FAILED;
}
