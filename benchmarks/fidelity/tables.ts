/** Tables by aim and by what was left out, for the terminal and for docs/fidelity.md. */

import type { LeftOut } from './cross-validation.js';
import { errorTable, markdown, summary } from './errors.js';
import type { Residual } from './residuals.js';
import { TARGETS } from './targets.js';

export function targetTable(residuals: readonly Residual[]): string {
  const rows = TARGETS.map((t) => {
    const logs = residuals
      .filter((r) => t.includes(r) && t.metrics.includes(r.comparison.metric))
      .map((r) => r.log);
    return summary([t.name, t.metrics.join(', '), `${t.median}`], logs);
  });
  return markdown(
    ['aim', 'metric', 'aim %'],
    rows.filter((row) => row.rows > 0),
  );
}

export function leftOutTables(leftOut: readonly LeftOut[]): string {
  const axes = [...new Set(leftOut.map((r) => r.axis))];
  return axes
    .map((axis) => {
      const residuals = leftOut.filter((r) => r.axis === axis);
      const table = errorTable(residuals, (r) => [(r as LeftOut).left, r.comparison.metric]);
      return `### Each ${axis} in turn\n\n${targetTable(residuals)}\n\n${markdown(['left out', 'metric'], table)}`;
    })
    .join('\n\n');
}
