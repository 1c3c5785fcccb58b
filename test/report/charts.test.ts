import { describe, expect, it } from 'vitest';
import { type Chart, chartSpec, type Point } from '../../src/report/chart-spec.js';
import { ChartDrawer } from '../../src/report/chart-svg.js';
import { comparisonHtml } from '../../src/report/comparison-html.js';
import { savedResults } from '../../src/report/saved-result.js';

const chartOf = (change: Partial<Chart> = {}): Chart => ({
  title: 'TTFT over rate',
  xLabel: 'requests/s',
  yLabel: 'ms',
  drawnAs: 'lines',
  series: [
    {
      name: 'p50',
      points: [
        [1, 10],
        [2, 20],
      ],
    },
  ],
  ...change,
});

const named = (names: readonly string[]) =>
  names.map((name, i) => ({ name, points: [[0, i] as const, [1, i] as const] }));

/** What a reader of the specification would look up. */
const lookUp = (chart: Chart) => {
  const spec = JSON.parse(JSON.stringify(chartSpec(chart)));
  const [first] = spec.layer;
  return { spec, first, values: spec.data.values as { x: number; y: number; series: number }[] };
};

describe('chartSpec', () => {
  it('has the points of every series, and the labels of the axes', () => {
    const { values, first } = lookUp(chartOf());
    expect(values).toEqual([
      { x: 1, y: 10, series: 0 },
      { x: 2, y: 20, series: 0 },
    ]);
    expect([first.encoding.x.title, first.encoding.y.title]).toEqual(['requests/s', 'ms']);
    expect(first.encoding.color.legend).toBeNull();
  });

  it('keeps two series of one name apart', () => {
    const { values, first } = lookUp(chartOf({ series: named(['a', 'a']) }));
    expect(values.map(({ series }) => series)).toEqual([0, 0, 1, 1]);
    expect(first.encoding.color.legend.labelExpr).toBe('["a","a"][datum.value]');
  });

  it('dashes lines whose colour comes again', () => {
    const { first } = lookUp(chartOf({ series: named([...'abcdefgh']) }));
    const { range } = first.encoding.color.scale;
    const dashes = first.encoding.strokeDash.scale.range;
    expect([range[6], dashes[6]]).toEqual([range[0], [6, 3]]);
    expect(dashes[0]).toEqual([1, 0]);
  });

  it('grows by the rows of its legend, so that the plot keeps its height', () => {
    const height = (names: string[]) => lookUp(chartOf({ series: named(names) })).spec.height;
    const long = 'a name that takes a row of its own';
    expect(height([long, long, long]) - height([long, long])).toBe(16);
  });

  it('draws a bound once, across', () => {
    const { spec } = lookUp(chartOf({ bound: { name: 'SLO', y: 30 } }));
    const [, rule, label] = spec.layer;
    expect(rule).toMatchObject({
      data: { values: [{}] },
      mark: { type: 'rule' },
      encoding: { y: { datum: 30 } },
    });
    expect(label.mark.text).toBe('SLO');
  });

  it('leaves out points without a place', () => {
    const points: Point[] = [
      [0, Number.NaN],
      [1, 1],
      [2, Infinity],
    ];
    expect(lookUp(chartOf({ series: [{ name: 'a', points }] })).values).toHaveLength(1);
  });

  it('keeps the outliers of more dots than can be seen', () => {
    const points = Array.from({ length: 50_000 }, (_, i): Point => [i, i === 31_415 ? 900 : i % 7]);
    const { values } = lookUp(chartOf({ drawnAs: 'dots', series: [{ name: 'a', points }] }));
    expect(values.length).toBeLessThanOrEqual(1_002);
    expect(values).toContainEqual({ x: 31_415, y: 900, series: 0 });
  });
});

describe('a drawn chart', () => {
  const drawn = async (chart: Chart) => (await ChartDrawer.open()).row([chart]);

  it('is the same for the same values, whatever was drawn before', async () => {
    const once = await drawn(chartOf());
    await drawn(chartOf({ series: named(['a', 'b']) }));
    expect(await drawn(chartOf())).toBe(once);
  });

  it('has its words, escaped, in the colour of the page', async () => {
    const svg = await drawn(chartOf({ series: named(['<a>', 'b']), title: 'x & y' }));
    expect(svg).toContain('x &amp; y');
    expect(svg).toContain('&lt;a&gt;');
    expect(svg).toMatch(/<text[^>]* fill="currentColor"/);
    expect(svg).not.toMatch(/#000|black|#888|\bid="/);
  });

  it('is empty without points', async () => {
    expect(await drawn(chartOf({ series: [{ name: 'a', points: [] }] }))).toContain('<svg');
  });
});

describe('a page without the packages for charts', () => {
  it('has its tables, and one line that says what to install', async () => {
    const result = { duration: 1, request_throughput: 2, median_ttft_ms: 3, p99_ttft_ms: 4 };
    const results = savedResults(JSON.stringify([result, result]), 'a.json');
    const page = await comparisonHtml(results, async () => undefined);
    expect(page).toContain('<td>median_ttft_ms</td>');
    expect(page.split('npm install vega vega-lite')).toHaveLength(2);
    expect(page).not.toContain('<svg');
    expect(await comparisonHtml(results)).not.toContain('npm install');
  });
});
