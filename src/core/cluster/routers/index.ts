import { ConfigError, closest } from '../../errors.js';
import type { RouterKind } from '../router.js';
import { leastLoaded } from './least-loaded.js';
import { random } from './random.js';
import { roundRobin } from './round-robin.js';

/** The routers, by the name `--router` takes. */
export const ROUTERS: readonly RouterKind[] = [roundRobin, leastLoaded, random];

export function routerNamed(name: string): RouterKind {
  const kind = ROUTERS.find((candidate) => candidate.name === name.replaceAll('-', '_'));
  if (kind) return kind;
  const names = ROUTERS.map((candidate) => candidate.name);
  const near = closest(name, names);
  throw new ConfigError(
    '--router',
    names.join(', '),
    name,
    near ? `Did you mean ${near}?` : undefined,
  );
}
