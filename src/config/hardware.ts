/**
 * GPUs by name or by path: `perf_model/gpus/<name>.json`, or a user's file of the same form.
 */

import { existsSync } from 'node:fs';
import { ConfigError, closest } from '../core/errors.js';
import type { GpuSpec } from '../core/model/gpu.js';
import { dataPath, Fields, jsonNames, looksLikePath, readJson } from './data-dir.js';

const LINKS = ['nvlink', 'nvlink-pair', 'pcie', 'infinity-fabric', 'ethernet'] as const;
const PEAKS = ['bf16', 'fp16', 'int8', 'fp8', 'fp4'] as const;

/** Every GPU of the package, sorted by name. */
export const listHardware = (): GpuSpec[] =>
  jsonNames('perf_model', 'gpus')
    .map((file) => readGpu(dataPath('perf_model', 'gpus', `${file}.json`)))
    .sort((a, b) => (a.name < b.name ? -1 : 1));

/**
 * @param nameOrPath a name or an alias in any case, or a data-sheet file.
 * @throws {ConfigError} suggesting the closest name.
 */
export function loadHardware(nameOrPath: string): GpuSpec {
  if (looksLikePath(nameOrPath)) return readGpu(nameOrPath);
  const word = normal(nameOrPath);
  const direct = dataPath('perf_model', 'gpus', `${nameOrPath.toLowerCase()}.json`);
  if (existsSync(direct)) return readGpu(direct);
  const all = listHardware();
  const found = all.find((gpu) => [gpu.name, ...gpu.aliases].some((name) => normal(name) === word));
  if (found) return found;
  const near = closest(
    nameOrPath,
    all.flatMap((gpu) => [gpu.name, ...gpu.aliases]),
  );
  throw new ConfigError(
    '--hardware',
    'a name of list-hardware, or the path of a data-sheet file',
    nameOrPath,
    near && `did you mean ${near}?`,
  );
}

const normal = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '');

function readGpu(path: string): GpuSpec {
  const f = Fields.of(readJson(path, 'a GPU data sheet'), path).only(
    'name',
    'aliases',
    'vendor',
    'architecture',
    'memory_bytes',
    'memory_bytes_per_s',
    'dense_flops_per_s',
    'link',
    'host_link',
    'board_power_w',
    'source',
  );
  const peaks = f.child('dense_flops_per_s').only(...PEAKS);
  const peak = Object.fromEntries(peaks.keys().map((key) => [key, peaks.number(key, 1)]));
  peaks.number('fp16', 1);
  const link = f.child('link').only('kind', 'bytes_per_s', 'mesh_peers', 'peer_to_peer');
  const host = f.has('host_link') ? f.child('host_link').only('kind', 'bytes_per_s') : undefined;
  return {
    name: f.text('name'),
    aliases: f.texts('aliases'),
    vendor: f.text('vendor'),
    architecture: f.text('architecture'),
    memoryBytes: f.number('memory_bytes', 1),
    memoryBytesPerS: f.number('memory_bytes_per_s', 1),
    peak: peak as GpuSpec['peak'],
    link: {
      kind: link.oneOf('kind', LINKS),
      bytesPerS: link.number('bytes_per_s', 1),
      ...(link.has('mesh_peers') && { meshPeers: link.number('mesh_peers', 1) }),
      ...(link.has('peer_to_peer') && { peerToPeer: link.flag('peer_to_peer') }),
    },
    ...(host && {
      hostLink: {
        kind: host.oneOf('kind', ['pcie', 'c2c'] as const),
        bytesPerS: host.number('bytes_per_s', 1),
      },
    }),
    boardPowerW: f.number('board_power_w'),
    source: f.text('source'),
  };
}
