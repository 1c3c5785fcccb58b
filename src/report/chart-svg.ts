/**
 * Charts as SVG, drawn by Vega without a browser. Vega is an optional package that takes a quarter of a
 * second to load, so it is loaded when a page is written and nowhere else; without it a page has its
 * tables and one line that says what to install.
 */

import type { View } from 'vega';
import type { TopLevelSpec } from 'vega-lite';
import { type Chart, chartSpec } from './chart-spec.js';
import { figure, paragraph } from './html-page.js';

/** From a specification to SVG text. */
export type Draw = (spec: TopLevelSpec) => Promise<string>;

/** Loads the optional packages; `undefined` when one is absent. */
export async function loadVega(): Promise<Draw | undefined> {
  try {
    const [{ Error: onlyErrors, logger, parse, View }, { compile }] = await Promise.all([
      import('vega'),
      import('vega-lite'),
    ]);
    const quiet = logger(onlyErrors);
    return (spec) => {
      const { spec: compiled } = compile(spec, { logger: quiet });
      const view: View = new View(parse(compiled), { renderer: 'none', logger: quiet });
      return view.toSVG().finally(() => view.finalize());
    };
  } catch {
    return undefined;
  }
}

/** Draws the charts of one page. */
export class ChartDrawer {
  private constructor(private readonly draw: Draw | undefined) {}

  static async open(load = loadVega): Promise<ChartDrawer> {
    return new ChartDrawer(await load());
  }

  /** What a page says once where its charts are missing. */
  get note(): string {
    return this.draw ? '' : paragraph('Charts need two packages: npm install vega vega-lite');
  }

  /** One of its own form. */
  async chart(name: string, spec: TopLevelSpec): Promise<string> {
    return this.draw ? figure(name, await this.draw(spec)) : '';
  }

  /** Charts side by side. */
  async row(charts: readonly Chart[]): Promise<string> {
    if (!this.draw || charts.length === 0) return '';
    const figures = await Promise.all(
      charts.map((chart) => this.chart(chart.title, chartSpec(chart))),
    );
    return `<div class="charts">\n${figures.join('\n')}\n</div>`;
  }
}
