import { describe, expect, it } from 'vitest';
import { listEngines, loadEfficiency, loadEngine } from '../../src/config/engines.js';

describe('Engines by name and version', () => {
  it.each([
    ['vllm', 'vLLM V1, asynchronous scheduling'],
    ['vllm-0.9', 'vLLM V1, synchronous scheduling'],
    ['vllm-0.13.1', 'vLLM V1, synchronous scheduling'],
    ['VLLM-v0.14', 'vLLM V1, asynchronous scheduling'],
    ['vllm-0.6.3.post1', 'vLLM V0, 0.6.2 to 0.7'],
    ['vllm-0.5', 'vLLM V0, to 0.5'],
    ['vllm-1.2', 'vLLM V1, asynchronous scheduling'],
    ['trtllm-0.15', 'TensorRT-LLM 0.11 to 0.19, C++ runtime'],
    ['trtllm-0.10', 'TensorRT-LLM to 0.10, C++ runtime'],
    ['tensorrt-llm', 'TensorRT-LLM, PyTorch backend'],
    ['sglang', 'SGLang'],
  ])('%s is %s', (spec, label) => {
    expect(loadEngine(spec).label).toBe(label);
  });

  it('refuses others, suggesting the closest', () => {
    expect(() => loadEngine('vlm')).toThrow(
      /--engine: expected one of .*vllm.*did you mean vllm\?/s,
    );
    expect(listEngines()).toContain('trtllm');
  });

  it('gives every constant a source, and no fraction above 1', () => {
    const { constants, sources } = loadEfficiency();
    expect(Object.keys(sources).sort()).toEqual(Object.keys(constants).sort());
    expect(constants.gemmCompute16).toBeLessThanOrEqual(1);
  });
});
