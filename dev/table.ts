/** Lays out rows of text as an aligned table for people. Never formats the values themselves. */

export interface TableColumn {
  readonly title: string;
  /** Numbers are set to the right. @default 'left' */
  readonly align?: 'left' | 'right';
}

/** The table with a head line and a rule, two spaces between columns, ending in a line break. */
export function table(
  columns: readonly TableColumn[],
  rows: readonly (readonly string[])[],
  indent = '',
): string {
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...rows.map((row) => row[index]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string => {
    const padded = columns.map(({ align }, index) => {
      const [cell, width] = [cells[index] ?? '', widths[index] ?? 0];
      return align === 'right' ? cell.padStart(width) : cell.padEnd(width);
    });
    return `${indent}${padded.join('  ').trimEnd()}\n`;
  };
  const head = columns.map(({ title }) => title);
  const rule = widths.map((width) => '-'.repeat(width));
  return [head, rule, ...rows].map(line).join('');
}
