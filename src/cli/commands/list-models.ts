/** `list-models`: what `--model` takes by name. */

import { listModels, loadModel } from '../../config/models.js';
import { numParameters } from '../../core/model/model-shape.js';
import { grouped, table } from '../../report/format.js';
import { jsonText } from '../../report/json.js';
import type { DefineCommand } from '../command.js';

export const defineListModels: DefineCommand = (command, io) => {
  command.option('--json', 'as JSON').action(({ json }: { json?: true }) => {
    const models = listModels().map((name) => {
      const shape = loadModel(name);
      return {
        name,
        parameters: numParameters(shape),
        layers: shape.numLayers,
        max_model_len: shape.maxPositionEmbeddings,
        dtype: shape.quantization ?? shape.dtype,
        kind: shape.moe ? `${shape.moe.numExperts} experts` : 'dense',
      };
    });
    if (json) return io.out(jsonText(models));
    const rows = models.map((m) => [
      m.name,
      `${(m.parameters / 1e9).toFixed(1)} B`,
      m.kind,
      String(m.layers),
      grouped(m.max_model_len),
      m.dtype,
    ]);
    const header = ['model', 'parameters', '', 'layers', 'context', 'weights'];
    io.out(`${table([header, ...rows]).join('\n')}\n`);
    io.out('\nAny other model: --model path/to/config.json (from Hugging Face).\n');
  });
};
