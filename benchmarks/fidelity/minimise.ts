/** Nelder–Mead: the least of a function of a few variables, without derivatives. */

export function minimise(
  f: (x: readonly number[]) => number,
  start: readonly number[],
  steps = 1500,
): number[] {
  const size = start.length;
  let simplex = [start, ...start.map((_, i) => start.map((v, j) => (i === j ? v + 0.2 : v)))].map(
    (x) => ({ x: [...x], y: f(x) }),
  );
  const towards = (
    from: readonly number[],
    to: readonly number[],
    t: number,
  ): { x: number[]; y: number } => {
    const x = from.map((v, i) => v + t * (to[i]! - v));
    return { x, y: f(x) };
  };
  for (let k = 0; k < steps; k++) {
    simplex.sort((a, b) => a.y - b.y);
    const worst = simplex[size]!;
    const rest = simplex.slice(0, size);
    const centre = start.map((_, i) => rest.reduce((sum, p) => sum + p.x[i]!, 0) / size);
    const reflected = towards(worst.x, centre, 2);
    if (reflected.y < simplex[0]!.y) {
      const expanded = towards(worst.x, centre, 3);
      simplex[size] = expanded.y < reflected.y ? expanded : reflected;
    } else if (reflected.y < simplex[size - 1]!.y) simplex[size] = reflected;
    else {
      const contracted = towards(worst.x, centre, reflected.y < worst.y ? 1.5 : 0.5);
      if (contracted.y < Math.min(reflected.y, worst.y)) simplex[size] = contracted;
      else simplex = simplex.map((p, i) => (i === 0 ? p : towards(p.x, simplex[0]!.x, 0.5)));
    }
  }
  return simplex.reduce((a, b) => (b.y < a.y ? b : a)).x;
}
