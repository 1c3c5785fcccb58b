/**
 * The arrows of the architecture: `cli → openai, rpc, bench → text, files, report, config → pipeline → core`.
 * Each layer may use what stands to its right; adapters never import each other.
 */
const from = (layer) => ({ path: `^src/${layer}/` });
const only = (layer, allowed) => ({
  name: `${layer}-arrows-point-inward`,
  severity: 'error',
  from: from(layer),
  to: {
    path: '^(src|gen)/',
    pathNot: `^(${[layer, ...allowed].map((a) => (a === 'gen' ? 'gen' : `src/${a}`)).join('|')})/`,
  },
});
const shared = ['text', 'files', 'report', 'config', 'pipeline', 'core'];

export default {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'types may name each other; modules that run may not need each other',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    only('core', []),
    only('pipeline', ['core']),
    only('config', ['pipeline', 'core', 'gen']),
    only('report', ['core']),
    only('files', ['core']),
    only('text', ['core']),
    only('openai', shared),
    only('rpc', [...shared, 'gen']),
    only('bench', shared),
    {
      name: 'core-is-pure',
      comment: 'core depends on nothing: no packages, no node: modules',
      severity: 'error',
      from: { path: '^src/core/' },
      to: { dependencyTypes: ['npm', 'npm-dev', 'npm-optional', 'npm-peer', 'core'] },
    },
    {
      name: 'rxjs-lives-in-pipeline',
      comment: 'outside src/pipeline an Observable is only subscribed to',
      severity: 'error',
      from: { path: '^src/(core|files|text|report|config)/' },
      to: { path: 'node_modules/rxjs' },
    },
    {
      name: 'only-rpc-and-config-see-gen',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(rpc|config)/' },
      to: { path: '^gen/' },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'default'] },
  },
};
