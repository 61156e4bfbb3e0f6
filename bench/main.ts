/**
 * Runs benchmarks by name: `npm run bench -- transcode --json`. Each prints one JSON object a line
 * for each figure; without `--json` the same figures are written as text.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

/** A new benchmark is one row here. */
const benches: Record<string, (items?: number) => Promise<void>> = {
  transcode: async () => (await import('./transcode.ts')).transcode(),
  kernel: async () => (await import('./kernel.ts')).kernel(),
  freshness: async () => (await import('./freshness.ts')).freshness(),
  edge: async () => (await import('./edge.ts')).edge(),
  memory: async () => (await import('./memory.ts')).memory(),
  batch: async (items) => (await import('./batch.ts')).batch(items),
  archive: async (items) => (await import('./archive.ts')).archive(items),
  views: async (items) => (await import('./views.ts')).views(items),
};

const usage = `usage: npm run bench -- [--json] [--items N] [${Object.keys(benches).join('|')}]...
  --items N  items of each signal in "archive" (default 1000000; five times as many spans), spans in "batch"
             (default 5000000) and in "views" (default 30000000)`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      items: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const names = positionals.length > 0 ? positionals : Object.keys(benches);
  const unknown = names.find((name) => !Object.hasOwn(benches, name));
  if (unknown !== undefined || values.help) {
    process.stderr.write(`${unknown === undefined ? '' : `no benchmark "${unknown}"\n`}${usage}\n`);
    process.exitCode = values.help ? 0 : 2;
  } else if (values.json) {
    for (const name of names)
      await benches[name]?.(values.items ? Number(values.items) : undefined);
  } else {
    await runAsText(values.items ? ['--items', values.items, ...names] : names);
  }
}

/** Runs this file again with `--json` and writes its figures as text. */
async function runAsText(names: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, [import.meta.filename, '--json', ...names], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = new Promise<number>((resolve) => {
    child.once('close', (code) => resolve(code ?? 1));
  });
  for await (const line of createInterface({ input: child.stdout })) {
    process.stdout.write(`${textOf(line)}\n`);
  }
  process.exitCode = await closed;
}

function textOf(line: string): string {
  if (!line.startsWith('{')) return line;
  const { bench, machine: _machine, ...figure } = JSON.parse(line) as Record<string, unknown>;
  const fields = Object.entries(figure).map(([name, value]) => `${name} ${String(value)}`);
  return `${String(bench)}: ${fields.join(', ')}`;
}

await main();
