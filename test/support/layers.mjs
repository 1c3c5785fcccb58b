/** Checks the arrows of .dependency-cruiser.mjs, and fails when nothing was cruised: a green run over zero modules proves nothing. */
import { cruise } from 'dependency-cruiser';
import extractTSConfig from 'dependency-cruiser/config-utl/extract-ts-config';
import config from '../../.dependency-cruiser.mjs';

const { output } = await cruise(
  ['src', 'gen'],
  { ...config.options, validate: true, ruleSet: { forbidden: config.forbidden } },
  undefined,
  { tsConfig: extractTSConfig('tsconfig.json') },
);
const { totalCruised, totalDependenciesCruised, violations } = output.summary;
for (const { rule, from, to } of violations) console.error(`${rule.name}: ${from} → ${to}`);
console.log(
  `layers: ${totalCruised} modules, ${totalDependenciesCruised} dependencies, ${violations.length} violations`,
);
if (violations.length > 0 || totalCruised === 0) process.exitCode = 1;
