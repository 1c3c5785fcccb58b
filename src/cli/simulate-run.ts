/** What every form of `simulate` does: read the scenario file, put it together with the flags, run, save. */

import { writeFileSync } from 'node:fs';
import type { Composition, Naming } from '../config/composition.js';
import type { FieldName, ScenarioRequest } from '../config/scenario-request.js';
import { checkOutput, unwritable } from '../report/output-file.js';
import type { Run } from '../report/run.js';
import { compose, start } from './compose.js';
import type { Io } from './io.js';
import { runToEnd } from './progress.js';
import { asksForFiles, openRunFiles } from './run-files.js';
import {
  conversationsFromFlags,
  type Flags,
  flagName,
  percentilesFromFlags,
  priceFromFlags,
  requestFromFlags,
  sloFromFlags,
} from './simulate-flags.js';

/** The scenario file of `--config`; its reader is loaded only then. */
export async function baseOf(flags: Flags): Promise<Base | undefined> {
  const path = textFlag(flags, 'config');
  if (path === undefined) return undefined;
  const { readScenarioFile } = await import('../config/scenario-file.js');
  const proto = await import('../config/scenario-from-proto.js');
  return {
    request: proto.requestFromProto(await readScenarioFile(path), path),
    load: proto.loadField(path),
    pool: (index) => proto.poolField(path, index),
  };
}

/** What a scenario file said, and how its fields are spelled. */
export interface Base {
  readonly request: ScenarioRequest;
  readonly load: FieldName;
  pool(index: number): FieldName;
}

/** A field is spelled as it was given: as a flag, or as its place in the scenario file. */
export function namingOf(flags: Flags, base: Base | undefined): Naming {
  const isFlag = (field: string) => !base || flags[camel(field)] !== undefined;
  return {
    load: (field) => (isFlag(field) ? flagName(field) : base!.load(field)),
    pool: (i) => (field) => (isFlag(field) ? flagName(field) : base!.pool(i)(field)),
    trace: isFlag('trace') ? '--trace' : base!.load('trace.path'),
  };
}

export async function composeFlags(flags: Flags, base: Base | undefined): Promise<Composition> {
  const naming = namingOf(flags, base);
  return compose(requestFromFlags(flags, base?.request), naming, conversationsFromFlags(flags));
}

/** What the user should know of the files that were read, each thing once. */
export function tellWarnings(compositions: readonly Composition[], io: Io): void {
  const warnings = new Set(compositions.flatMap((one) => [...one.warnings]));
  for (const warning of warnings) io.err(`warning: ${warning}\n`);
}

const camel = (field: string): string =>
  field.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

export const textFlag = (flags: Flags, key: string): string | undefined => {
  const value = flags[key];
  return typeof value === 'string' ? value : undefined;
};

/**
 * Simulates to its end, or until Ctrl-C.
 *
 * @param withFiles whether this is the run that the files asked for tell about
 */
export async function runOnce(
  composition: Composition,
  flags: Flags,
  io: Io,
  withFiles = false,
): Promise<Run> {
  const slo = sloFromFlags(flags);
  const percentiles = percentilesFromFlags(flags);
  const pricePerGpuHour = priceFromFlags(flags);
  const files = withFiles && asksForFiles(flags) ? await openRunFiles(flags, composition) : [];
  const exact = withFiles && flags.saveRequests !== undefined;
  try {
    const options = { slo, percentiles, pricePerGpuHour, tracers: files, exact };
    const started = start(composition, options);
    const { stopped } = await runToEnd(started.simulation, started.numRequests, io);
    return started.run(stopped);
  } finally {
    for (const file of files) file.close();
  }
}

/** Refuses a `--save-result` that cannot be written before anything is simulated. */
export function checkResultFile(flags: Flags): void {
  const path = textFlag(flags, 'saveResult');
  if (path !== undefined) checkOutput('--save-result', path);
}

export function saveResult(flags: Flags, json: () => string): void {
  const path = textFlag(flags, 'saveResult');
  if (path === undefined) return;
  try {
    writeFileSync(path, json());
  } catch (cause) {
    throw unwritable('--save-result', path, cause);
  }
}
