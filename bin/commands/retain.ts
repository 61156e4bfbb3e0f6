/** `tidemark retain`: takes old event days away. The work is in `workers/retain.ts`. */
import { randomBytes } from 'node:crypto';
import { Command } from 'commander';
import { parseRetention } from '../../schemas/retention.ts';
import type { RetainReport } from '../../workers/retain.ts';
import type { Removed } from '../../workers/retain/removed.ts';
import type { Context } from '../context.ts';
import { logOf, settingsOf } from '../context.ts';
import { CommandFailed } from '../outcome.ts';
import { withRewriter } from './compact.ts';
import manifest from '../../package.json' with { type: 'json' };

interface Flags {
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** The command; prints what went, or would go, by signal, day and tenant. */
export function retainCommand(context: Context): Command {
  return new Command('retain')
    .description('take away event days that are kept no longer, by signal and tenant')
    .option('--dry-run', 'say what would go, and change nothing')
    .option('--json', 'print one line of JSON')
    .addHelpText('after', examples)
    .action((flags: Flags) => retain(context, flags));
}

const examples = `
Examples:
  TIDEMARK_RETENTION=all=90d tidemark retain --dry-run
  TIDEMARK_RETENTION=traces=30d,logs=14d,tenant:acme/traces=365d tidemark retain

With nothing configured everything is kept. A rule of a tenant counts before one of all tenants, and
then one of a signal before "all". What is taken away is gone for readers at once; "tidemark sweep"
deletes the files after its grace time. Published figures of the batch stay as they are.`;

async function retain(context: Context, flags: Flags): Promise<void> {
  const settings = settingsOf(context);
  const retention = parseRetention(settings.TIDEMARK_RETENTION);
  const { askedClock } = await import('../../workers/clients/store/clock.ts');
  const { runRetention } = await import('../../workers/retain.ts');
  const log = logOf(context, settings);
  await withRewriter(context, flags, async ({ store, rewriter }) => {
    const report = await runRetention({
      store,
      settings,
      retention,
      rewriter,
      now: await askedClock(store, context.now, log),
      randomName: () => randomBytes(8).toString('hex'),
      log,
      dryRun: flags.dryRun ?? false,
      codeVersion: manifest.version,
      signal: context.signal,
      onDay: (day) => log.debug(day, 'Looked at a day'),
    });
    print(context, report, flags);
  });
}

function print(context: Context, { removed, failures }: RetainReport, flags: Flags): void {
  const failed = failures.map(({ signal, hour, error: { code, message } }) => {
    return { signal, hour, code, message };
  });
  if (flags.json) {
    const dryRun = flags.dryRun ?? false;
    context.stdout.write(`${JSON.stringify({ dryRun, removed, failures: failed })}\n`);
  } else {
    for (const line of removed) context.stdout.write(`${lineOf(line)}\n`);
    const rows = removed.reduce((sum, line) => sum + line.rows, 0);
    context.stdout.write(`${flags.dryRun ? 'Would take' : 'Took'} ${rows} rows away\n`);
  }
  if (failed.length === 0) return;
  const reasons = failed.map(({ signal, hour, message }) => `${hour} ${signal}: ${message}`);
  throw new CommandFailed(`Cannot keep the retention everywhere: ${reasons.join('; ')}`);
}

function lineOf({ signal, day, tenant, files, rows, bytes }: Removed): string {
  const whose = tenant === undefined ? '' : ` of ${tenant}`;
  return `${day} ${signal}${whose}: ${rows} rows in ${files} files, ${(bytes / 1e6).toFixed(1)} MB`;
}
