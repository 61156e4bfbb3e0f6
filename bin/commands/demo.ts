/** `tidemark demo`: the whole lambda on this machine in a minute. The steps are in `dev/demo.ts`. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import type { Context } from '../context.ts';
import { settingsOf } from '../context.ts';
import { CommandFailed } from '../outcome.ts';

interface Flags {
  readonly spans: number;
  readonly seed: number;
  readonly keep?: boolean;
  readonly json?: boolean;
}

const spansDefault = 110_000;

/** The command; exit code 1 when a proof does not hold. */
export function demoCommand(context: Context): Command {
  return new Command('demo')
    .description("send a shop's traffic, archive it, run the batch twice and prove the figures")
    .option('--spans <number>', 'distinct spans to send', wholeNumber, spansDefault)
    .option('--seed <number>', 'seed of the traffic', wholeNumber, 1)
    .option('--keep', 'keep the data directory and say where it is')
    .option('--json', 'print the result as one JSON document')
    .action((flags: Flags) => run(context, flags));
}

async function run(context: Context, flags: Flags): Promise<void> {
  const { demo } = await import('../../dev/demo.ts');
  const { report } = await import('../../dev/demo/report.ts');
  const directory = await mkdtemp(path.join(os.tmpdir(), 'tidemark-demo-'));
  try {
    const result = await demo({
      directory,
      settings: settingsOf(context),
      environment: context.environment,
      spans: flags.spans,
      seed: flags.seed,
      keeps: flags.keep ?? false,
      monotonicMs: () => performance.now(),
      now: context.now,
      random: () => Math.random(),
      progress: context.stderr,
      signal: context.signal,
    });
    context.stdout.write(flags.json ? `${JSON.stringify(result)}\n` : report(result));
    if (!result.ok) throw new CommandFailed('The proof does not hold; see the differences above');
  } finally {
    if (!flags.keep) await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

function wholeNumber(text: string): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value < 1) throw new InvalidArgumentError('It is not a whole number from 1 on');
  return value;
}
