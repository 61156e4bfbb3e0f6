/**
 * The command line's conductor: arguments and surroundings in, exit code out. Each command lives
 * in its own file under `commands/`; none of them ends the process.
 */
import { Command } from 'commander';
import { archiveCommand } from './commands/archive.ts';
import { batchCommand } from './commands/batch.ts';
import { checkCommand } from './commands/check.ts';
import { compactCommand } from './commands/compact.ts';
import { costCommand } from './commands/cost.ts';
import { demoCommand } from './commands/demo.ts';
import { driftCommand } from './commands/drift.ts';
import { importCommand } from './commands/import.ts';
import { kafkaRestCommand } from './commands/kafkarest.ts';
import { keyCommand } from './commands/key.ts';
import { ledgerCommand } from './commands/ledger.ts';
import { lookupCommand } from './commands/lookup.ts';
import { migrateCommand } from './commands/migrate.ts';
import { repairCommand } from './commands/repair.ts';
import { replayCommand } from './commands/replay.ts';
import { retainCommand } from './commands/retain.ts';
import { startCommand } from './commands/start.ts';
import { statusCommand } from './commands/status.ts';
import { traceCommand } from './commands/trace.ts';
import { sweepCommand } from './commands/sweep.ts';
import { verifyCommand } from './commands/verify.ts';
import type { Context } from './context.ts';
import { CommandFailed, exitCodeHelp, exitCodes, outcomeOf } from './outcome.ts';
import manifest from '../package.json' with { type: 'json' };

/** How often a program that npx has started looks whether its parent is still there. */
const parentPollMs = 1000;

/** Runs the command of `process.argv` and sets `process.exitCode`. */
export async function run(process: NodeJS.Process): Promise<void> {
  const stop = stopSignal(process);
  silenceTimers(process);
  for (const stream of [process.stdout, process.stderr]) outliveReader(stream);
  const context: Context = {
    environment: process.env,
    stdout: process.stdout,
    stderr: process.stderr,
    now: () => Date.now(),
    signal: stop.signal,
  };
  process.exitCode = await main(process.argv.slice(2), context);
  stop.release();
}

/**
 * kafkajs sets timers with negative delays, which Node warns of once and then takes for 1 ms: nothing
 * that anybody could act on. Every other warning is printed as ever.
 */
function silenceTimers(process: NodeJS.Process): void {
  const listeners = process.listeners('warning');
  process.removeAllListeners('warning').on('warning', (warning) => {
    if (warning.name === 'TimeoutNegativeWarning') return;
    for (const listener of listeners) listener(warning);
  });
}

/**
 * Whoever reads may have seen enough, as `head` has: what is being done goes on to its end, and nothing more is
 * shown. Every other fault of a stream is thrown as ever.
 */
function outliveReader(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

/** Runs the command that `args` name and returns its exit code; never throws. */
export async function main(args: readonly string[], context: Context): Promise<number> {
  try {
    await program(context).parseAsync([...args], { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    return outcomeOf(error, context);
  }
}

/** All commands; used by `main` and by the test that asks each for its help. */
export function program(context: Context): Command {
  const root = new Command('tidemark')
    .description(manifest.description)
    .version(manifest.version, '--version', 'print the version')
    .addCommand(startCommand(context))
    .addCommand(demoCommand(context))
    .addCommand(archiveCommand(context))
    .addCommand(batchCommand(context))
    .addCommand(verifyCommand(context))
    .addCommand(driftCommand(context))
    .addCommand(ledgerCommand(context))
    .addCommand(repairCommand(context))
    .addCommand(compactCommand(context))
    .addCommand(sweepCommand(context))
    .addCommand(retainCommand(context))
    .addCommand(migrateCommand(context))
    .addCommand(statusCommand(context))
    .addCommand(traceCommand(context))
    .addCommand(lookupCommand(context))
    .addCommand(replayCommand(context))
    .addCommand(importCommand(context))
    .addCommand(checkCommand(context))
    .addCommand(costCommand(context))
    .addCommand(keyCommand(context))
    .addCommand(kafkaRestCommand(context));
  const help = `${exitCodeHelp}\n\nSettings come from the environment; see docs/CONFIGURATION.md.`;
  root.addHelpText('after', help);
  for (const command of allCommands(root)) prepare(command, context);
  return root;
}

/** A command and all that are under it. */
export function allCommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap((under) => allCommands(under))];
}

function prepare(command: Command, context: Context): void {
  command.exitOverride().showHelpAfterError('(add --help to see what is possible)');
  command.configureOutput({
    writeOut: (text) => void context.stdout.write(text),
    writeErr: (text) => void context.stderr.write(text),
  });
  if (command.parent) command.addHelpText('after', exitCodeHelp);
}

/**
 * Aborts at the first SIGINT or SIGTERM; the second ends the process at once. A program that was
 * started with an IPC channel also stops when the other end is gone, so that a killed parent
 * leaves nobody behind. So does one that npx has started: the shell between dies of a signal and
 * does not pass it on.
 */
function stopSignal(process: NodeJS.Process): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  const onSignal = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(exitCodes.failed);
    controller.abort(new CommandFailed(`Stopped by ${name}`));
  };
  const onDisconnect = (): void =>
    controller.abort(new CommandFailed('Stopped, because the program that started this is gone'));
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal).on('disconnect', onDisconnect);
  process.channel?.unref();
  const shell = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid !== shell) onDisconnect();
  }, parentPollMs);
  watch.unref();
  if (process.env['npm_command'] !== 'exec') clearInterval(watch);
  const release = (): void => {
    clearInterval(watch);
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal).off('disconnect', onDisconnect);
    if (process.connected) process.disconnect();
  };
  return { signal: controller.signal, release };
}
