/** Numbers and tables as a person reads them. Nothing here depends on a locale: same run, same bytes. */

/** `1234567` → `1,234,567`. */
export function grouped(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/** About three significant digits: `0.0123`, `1.23`, `12.3`, `123`, `1,234`. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-';
  const size = Math.abs(value);
  if (size >= 100) return grouped(value);
  if (size >= 10) return value.toFixed(1);
  if (size >= 1 || size === 0) return value.toFixed(2);
  return size >= 0.0005 ? value.toFixed(3) : value.toPrecision(2);
}

export const percent = (fraction: number): string => {
  const value = fraction * 100;
  if (value === 0) return '0 %';
  return value < 10 ? `${value.toFixed(1)} %` : `${value.toFixed(0)} %`;
};

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Milliseconds in the unit that suits them: `850 µs`, `12.3 ms`, `4.56 s`, `12 min 30 s`. */
export function duration(ms: number): string {
  if (ms < 1) return `${short(ms * 1000)} µs`;
  if (ms < SECOND) return `${short(ms)} ms`;
  if (ms < 10 * MINUTE) return `${short(ms / SECOND)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min ${Math.round((ms % MINUTE) / SECOND)} s`;
  return `${Math.floor(ms / HOUR)} h ${Math.round((ms % HOUR) / MINUTE)} min`;
}

/** Joules in the unit that suits them: `450 mJ`, `1.23 J`, `12.3 kJ`, `4.56 MJ`, `1.20 GJ`. */
export function energy(joules: number): string {
  if (joules < 1) return `${short(joules * 1e3)} mJ`;
  if (joules < 1e3) return `${short(joules)} J`;
  if (joules < 1e6) return `${short(joules / 1e3)} kJ`;
  return joules < 1e9 ? `${short(joules / 1e6)} MJ` : `${short(joules / 1e9)} GJ`;
}

export const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

/** `1 request`, `2 requests`. */
export const plural = (count: number, noun: string): string =>
  `${grouped(count)} ${noun}${count === 1 ? '' : 's'}`;

/** Rows as columns of equal width, two spaces apart; the first `numLeft` columns are left-aligned. */
export function table(rows: readonly (readonly string[])[], numLeft = 1): string[] {
  const numColumns = Math.max(...rows.map((row) => row.length));
  const widths = Array.from({ length: numColumns }, (_, i) =>
    Math.max(...rows.map((row) => width(row[i] ?? ''))),
  );
  return rows.map((row) =>
    row
      .map((cell, i) => {
        const padding = ' '.repeat(widths[i]! - width(cell));
        return i < numLeft ? cell + padding : padding + cell;
      })
      .join('  ')
      .trimEnd(),
  );
}

const width = (cell: string): number => [...cell].length;

/** A value as a cell of a CSV file: quoted where it must be, empty where there is none. */
export function csvCell(value: string | number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return '';
  const text = String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
