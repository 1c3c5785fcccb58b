/** Spellings of flags: `_` and `-` are the same, and `-tp`, `-pp`, `-dp`, `-sc` are vLLM's short forms. */

const SHORT: Readonly<Record<string, string>> = {
  '-tp': '--tensor-parallel-size',
  '-pp': '--pipeline-parallel-size',
  '-dp': '--data-parallel-size',
  '-sc': '--speculative-config',
};

export const normaliseArgv = (argv: readonly string[]): string[] => argv.map(normalise);

function normalise(word: string): string {
  const equals = word.indexOf('=');
  const name = equals < 0 ? word : word.slice(0, equals);
  const value = equals < 0 ? '' : word.slice(equals);
  const long = SHORT[name];
  if (long) return long + value;
  return /^--[a-z]/i.test(name) ? name.replaceAll('_', '-') + value : word;
}
