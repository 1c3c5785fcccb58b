/** Pages of reports: one file each, without scripts, with nothing to load beside it. */

export const escapeXml = (text: string): string =>
  text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

export const htmlPage = (title: string, body: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeXml(title)}</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1120px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.charts { display: grid; margin: 1.5rem 0; grid-template-columns: repeat(auto-fit, minmax(440px, 1fr)); gap: 1rem; }
figure { margin: 0; } svg { width: 100%; height: auto; }
.tables { display: flex; flex-wrap: wrap; gap: 1rem 4rem; align-items: start; margin-bottom: 1.5rem; }
table { display: block; overflow-x: auto; border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: .15rem .8rem .15rem 0; text-align: right; white-space: nowrap; }
td:first-child, th:first-child { text-align: left; }
.warning { border-left: 3px solid #d9722c; padding-left: .7rem; }
</style>
</head>
<body>
${body}
</body>
</html>
`;

export const paragraph = (text: string, kind?: 'warning'): string =>
  `<p${kind ? ` class="${kind}"` : ''}>${escapeXml(text)}</p>`;

/** An image with a name, for those who hear a page. */
export const figure = (name: string, svg: string): string =>
  `<figure role="img" aria-label="${escapeXml(name)}">${svg}</figure>`;

/** The first row is the header. */
export function htmlTable(rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[], tag: string) =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeXml(cell)}</${tag}>`).join('')}</tr>`;
  return `<table>\n${rows.map((row, i) => line(row, i === 0 ? 'th' : 'td')).join('\n')}\n</table>`;
}
