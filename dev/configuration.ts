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

const bounds = `
## What bounds a request to the edge

An isolate of Cloudflare Workers has 128 MB for all requests that it works on at once. The defaults
are chosen for that, and \`npm run bench -- memory\` measures them: workerd's own peak above its
idle size, for the largest requests that are taken, of each signal and encoding, with Kafka REST,
ClickHouse and R2 all slow. One such request took 51 to 77 MiB; four sent at the same
time, of which one is taken and the others are told to come again, took 73 to 124 MiB, uncollected
garbage included, on a machine that was busy with other work.

- A body past \`TIDEMARK_BODY_BYTES_MAX\` as sent or \`TIDEMARK_INFLATED_BYTES_MAX\` inflated is
  refused with 413. The specification recommends 64 MiB, which an isolate cannot hold.
- A request is turned into rows within \`TIDEMARK_TRANSCODER_BYTES_MAX\`, and refused with 413 when
  that is too little. Rows repeat their resource, scope and metric: ordinary items take 1.5 to 1.7
  times their bytes in OTLP, the smallest data points 10 times, and a large resource above many
  small items any number of times.
- When the requests in flight leave no room in \`TIDEMARK_IN_FLIGHT_BYTES_MAX\`, a further one is
  refused with 503 and \`Retry-After\`: before it is read or inflated if its size is known. It
  needs room for three times its inflated bytes, in JSON for four times.
- An item of more than \`TIDEMARK_ATTRIBUTES_MAX\` attributes is rejected, and the rest is kept.

These bounds are no settings, because what the edge takes every other program has to be able to
read: arrays and key-value lists nest at most 100 deep (protobuf decoders' own default), JSON values
that OTLP does not know 512 deep; a Zstandard body has a window of at most 8 MiB and at most 1,024
frames.
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
  return `${intro}\n${head}${rows.join('')}${bounds}`;
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
