/**
 * Lays out rows of text as an aligned table for people. Never formats the values themselves, but shows of each only
 * what a terminal bears: names come from whoever sent them.
 */

/** Characters of a cell; a longer one would push all the others out of sight. */
const cellLengthMax = 160;

export interface TableColumn {
  readonly title: string;
  /** Numbers are set to the right. @default 'left' */
  readonly align?: 'left' | 'right';
}

/**
 * The table with a head line and a rule, two spaces between columns, ending in a line break. Cells of more than 160
 * characters are cut, and those that a terminal would act on are replaced.
 */
export function table(
  columns: readonly TableColumn[],
  given: readonly (readonly string[])[],
  indent = '',
): string {
  const rows = given.map((cells) => cells.map(shown));
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

function shown(cell: string): string {
  return printable(cell.length > cellLengthMax ? `${cell.slice(0, cellLengthMax - 1)}…` : cell);
}

/** The text without what moves a cursor or rings a bell. */
export function printable(text: string): string {
  return text.replaceAll(/\p{C}/gu, '\ufffd');
}
