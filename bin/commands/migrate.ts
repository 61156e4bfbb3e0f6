/** `tidemark migrate`: brings ClickHouse to this version's schema. The work is in `workers/`. */
import { Command } from 'commander';
import type { Context } from '../context.ts';
import { settingsOf } from '../context.ts';

interface Flags {
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** The command; prints each migration that it ran, or with `--dry-run` its statements. */
export function migrateCommand(context: Context): Command {
  return new Command('migrate')
    .description('create or bring up to date the tables and views in ClickHouse')
    .option('--dry-run', 'print the statements that would be run and change nothing')
    .option('--json', 'print the result as one line of JSON')
    .action((flags: Flags) => run(context, flags));
}

async function run(context: Context, flags: Flags): Promise<void> {
  const { openClickHouse } = await import('../../workers/clients/clickhouse/clickhouse.ts');
  const { migrate } = await import('../../workers/clients/clickhouse/migrate.ts');
  const client = openClickHouse(settingsOf(context));
  const dryRun = flags.dryRun ?? false;
  try {
    const { pending, applied } = await migrate(client, { dryRun });
    if (flags.json) {
      const named = pending.map(({ version, name, statements }) => ({ version, name, statements }));
      const result = { dryRun, pending: named, applied: applied.length };
      context.stdout.write(`${JSON.stringify(result)}\n`);
      return;
    }
    for (const { version, name, statements } of pending) {
      context.stdout.write(`${String(version).padStart(4, '0')} ${name}\n`);
      if (dryRun) context.stdout.write(statements.map((sql) => `\n${sql};\n`).join(''));
    }
    const verb = dryRun ? 'would be run' : 'run';
    context.stdout.write(`${pending.length} migrations ${verb}, ${applied.length} were there\n`);
  } finally {
    await client.close();
  }
}
