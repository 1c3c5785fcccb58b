/**
 * The scenario of a request, looked up and checked. Errors name its fields as the caller wrote them:
 * `scenario.pools[0].options.block_size`.
 */

import { Code } from '@connectrpc/connect';
import type { Pool, Scenario } from '../../gen/llmservingsim/v1/scenario_pb.js';
import type { Composition } from '../config/composition.js';
import { loadHardware } from '../config/hardware.js';
import { loadModel } from '../config/models.js';
import { loadField, poolField, requestFromProto } from '../config/scenario-from-proto.js';
import { ConfigError } from '../core/errors.js';
import { refuse, toRpcError } from './errors.js';
import type { Composer } from './ports.js';

export interface ComposeOptions {
  readonly composer: Composer;
  readonly allowFiles: boolean;
}

/** Where in the request the scenario stands, and its pools. */
export interface Place {
  readonly scenario: string;
  pool(index: number): string;
}

export const placeAt = (scenario: string): Place => ({
  scenario,
  pool: (index) => `${scenario}.pools[${index}]`,
});

/** @throws {ConnectError} */
export async function composeScenario(
  scenario: Scenario | undefined,
  { composer, allowFiles }: ComposeOptions,
  place: Place = placeAt('scenario'),
): Promise<Composition> {
  const at = place.scenario;
  if (!scenario) throw toRpcError(new ConfigError(at, 'what runs, and the load', undefined));
  try {
    if (!allowFiles) refuseFiles(scenario, place);
    const request = requestFromProto(scenario, at);
    for (const [i, pool] of scenario.pools.entries()) lookUp(pool, place.pool(i));
    const load = loadField(at);
    return await composer.compose(request, {
      load,
      pool: (index) => poolField(at, index),
      trace: load('trace.path'),
    });
  } catch (error) {
    throw error instanceof ConfigError ? toRpcError(asField(error, scenario, place)) : error;
  }
}

/** Names that nobody knows are another kind of error than a wrong value. */
function lookUp({ model, hardware }: Pool, at: string): void {
  const find = (field: string, reason: string, load: () => unknown) => {
    try {
      load();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      const told = new ConfigError(`${at}.${field}`, error.expected, error.got, error.hint);
      throw refuse({
        code: error.path.startsWith('--') ? Code.NotFound : Code.InvalidArgument,
        reason,
        message: told.message,
        field: told.path,
        cause: error,
      });
    }
  };
  find('model', 'model_not_found', () => loadModel(model));
  find('hardware', 'hardware_not_found', () => loadHardware(hardware));
}

function refuseFiles({ pools, workload }: Scenario, place: Place): void {
  const files: [field: string, name: string][] = pools.flatMap((pool, i) => [
    [`${place.pool(i)}.model`, pool.model],
    [`${place.pool(i)}.hardware`, pool.hardware],
    [
      `${place.pool(i)}.options.speculative_config.model`,
      pool.options?.speculativeConfig?.model ?? '',
    ],
  ]);
  const named = files.filter(([, name]) => /\.json$|^[./~]|\\/.test(name));
  pools.forEach((pool, i) => {
    if (pool.perfTable) named.push([`${place.pool(i)}.perf_table`, 'a table']);
  });
  if (workload?.source.case === 'trace')
    named.push([`${place.scenario}.workload.trace.path`, 'a trace']);
  pools.forEach(({ options }, i) => {
    const path = options?.speculativeConfig?.acceptanceFile;
    if (path === undefined) return;
    named.push([`${place.pool(i)}.options.speculative_config.acceptance_file`, path]);
  });
  const [first] = named;
  if (!first) return;
  throw refuse({
    code: Code.PermissionDenied,
    reason: 'files_not_allowed',
    message: `${first[0]}: this server reads no files for its callers; send names and requests.`,
    field: first[0],
  });
}

/** Core spells its fields as flags; here they belong to a message. */
function asField(error: ConfigError, scenario: Scenario, place: Place): ConfigError {
  const { path, expected, got, hint } = error;
  return new ConfigError(fieldPath(path, scenario, place), expected, got, hint);
}

function fieldPath(path: string, scenario: Scenario, place: Place): string {
  const at = place.scenario;
  if (path === '--router') return `${at}.router`;
  if (path === '--trace-format') return `${at}.workload.trace.format`;
  if (path.startsWith('--')) {
    const field = path.slice(2).replaceAll('-', '_');
    const said = poolField('', 0)(field).replace(/^.*?\]\./, '');
    return scenario.pools.length === 1 ? `${place.pool(0)}.${said}` : `${at}.pools: ${said}`;
  }
  if (!path.startsWith(`${at}: `)) return path;
  const inside = path.slice(at.length + 2);
  return inside.replace(/^pools\[(\d+)\]|^/, (_, index?: string) =>
    index === undefined ? `${at}.` : place.pool(Number(index)),
  );
}
