/**
 * Metrics as Prometheus reads them: text lines under `# HELP` and `# TYPE`. Histograms have fixed
 * buckets, counted as values come; what is written is cumulative, as the format wants it.
 */

export type Labels = Readonly<Record<string, string>>;

export class Histogram {
  readonly #counts: number[];
  #sum = 0;
  #count = 0;

  /** @param bounds upper ends of the buckets, ascending; the last, +Inf, goes without saying. */
  constructor(readonly bounds: readonly number[]) {
    this.#counts = new Array(bounds.length).fill(0);
  }

  observe(value: number): void {
    const bucket = this.bounds.findIndex((bound) => value <= bound);
    if (bucket >= 0) this.#counts[bucket]!++;
    this.#sum += value;
    this.#count++;
  }

  lines(name: string, labels: Labels): string[] {
    let below = 0;
    const buckets = this.bounds.map((bound, i) => {
      below += this.#counts[i]!;
      return sample(`${name}_bucket`, { ...labels, le: String(bound) }, below);
    });
    return [
      ...buckets,
      sample(`${name}_bucket`, { ...labels, le: '+Inf' }, this.#count),
      sample(`${name}_sum`, labels, this.#sum),
      sample(`${name}_count`, labels, this.#count),
    ];
  }
}

export const sample = (name: string, labels: Labels, value: number): string => {
  const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escaped(text)}"`);
  return `${name}{${pairs.join(',')}} ${value}`;
};

/** One metric: what it is, and its lines. */
export const family = (
  name: string,
  type: 'gauge' | 'counter' | 'histogram',
  help: string,
  lines: readonly string[],
): string => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('\n')}\n`;

const escaped = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
