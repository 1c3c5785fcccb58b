/** `list-hardware`: what `--hardware` takes by name. */

import { listHardware } from '../../config/hardware.js';
import { gib, grouped, table } from '../../report/format.js';
import { jsonText } from '../../report/json.js';
import type { DefineCommand } from '../command.js';

export const defineListHardware: DefineCommand = (command, io) => {
  command.option('--json', 'as JSON').action(({ json }: { json?: true }) => {
    const gpus = listHardware();
    if (json) return io.out(jsonText(gpus));
    const rows = gpus.map((gpu) => [
      gpu.name,
      gib(gpu.memoryBytes),
      `${grouped(gpu.memoryBytesPerS / 1e9)} GB/s`,
      `${grouped((gpu.peak.bf16 ?? gpu.peak.fp16) / 1e12)} TFLOP/s`,
      gpu.peak.fp8 === undefined ? '-' : `${grouped(gpu.peak.fp8 / 1e12)} TFLOP/s`,
      `${gpu.link.kind} ${grouped(gpu.link.bytesPerS / 1e9)} GB/s`,
      gpu.architecture,
    ]);
    const header = ['hardware', 'memory', 'bandwidth', '16-bit', 'fp8', 'link', 'architecture'];
    io.out(`${table([header, ...rows]).join('\n')}\n`);
    io.out(
      '\nPeaks are dense. Any other GPU: --hardware path/to/data-sheet.json (see perf_model/gpus).\n',
    );
  });
};
