/**
 * Writes docs/CONFIGURATION.md from the table of settings (`npm run docs`). The document is never
 * edited by hand; a test compares it with the table.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { settings } from '../schemas/settings.ts';

interface Row {
  readonly kind: string;
  readonly unit: string;
  readonly default: string;
  readonly meaning: string;
  readonly programs: readonly string[];
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly string[];
}

const intro = `# Configuration

Every program reads its settings from environment variables; flags of \`tidemark\` override them
(\`tidemark COMMAND --help\`). The Worker reads the rows of program \`edge\` from the \`[vars]\` of
\`wrangler.toml\` and its secrets from \`wrangler secret put\`. The defaults are those of the
embedded stack: nothing has to be set to try Tidemark out.

A variable that starts with \`TIDEMARK_\` and is not in this table, or a value that its row does not
allow, stops the program with exit code 2 and a line that names it. Settings of kind \`secret\` are
never logged.

This file is made from \`schemas/settings.ts\` by \`npm run docs\`.
`;

/** The whole document as text. */
export function configuration(): string {
  const head =
    '| variable | programs | kind | default | meaning |\n| --- | --- | --- | --- | --- |\n';
  const rows = Object.entries<Row>(settings).map(([name, row]) => {
    const cells = [
      `\`${name}\``,
      row.programs.join(', '),
      kindOf(row),
      defaultOf(row),
      row.meaning,
    ];
    return `| ${cells.join(' | ')} |\n`;
  });
  return `${intro}\n${head}${rows.join('')}`;
}

function kindOf(row: Row): string {
  if (row.choices) return row.choices.map((choice) => `\`${choice}\``).join(', ');
  if (row.kind !== 'integer') return row.kind;
  const unit = row.unit === '' ? 'integer' : row.unit;
  const isBounded = row.max !== undefined && row.max < Number.MAX_SAFE_INTEGER;
  return isBounded ? `${unit}, ${row.min} to ${row.max}` : `${unit}, from ${row.min ?? 0}`;
}

function defaultOf(row: Row): string {
  return row.default === '' ? '(empty)' : `\`${row.default}\``;
}

if (import.meta.main) {
  const file = path.join(import.meta.dirname, '..', 'docs', 'CONFIGURATION.md');
  writeFileSync(file, configuration());
}
