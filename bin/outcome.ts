/**
 * Turns the end of a command into an exit code and a message: the one place of the command line
 * where errors become outcomes. Never decides what a command does.
 */
import { CommanderError } from 'commander';
import { printable } from '../dev/table.ts';
import { TidemarkError } from '../schemas/errors.ts';
import type { Context } from './context.ts';

/** Exit codes of every command; `--help` names them. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, differs: 3 } as const;

/** The lines that every `--help` ends with. */
export const exitCodeHelp = `
Exit codes:
  0  it worked
  1  it failed; the last line on stderr says why
  2  the command line or a setting cannot be used; nothing was done`;

/**
 * A command ends with exit code 1, or one of its own, although it printed its whole result, such as an unequal proof.
 */
export class CommandFailed extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number = exitCodes.failed) {
    super(message);
    this.exitCode = exitCode;
  }
}

/**
 * The exit code of a command that ended with `error`. Writes one line with the error's code, and
 * its stack only when TIDEMARK_LOG_LEVEL is debug or trace.
 */
export function outcomeOf(error: unknown, context: Context): number {
  // Commander has written its own message already.
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  }
  context.stderr.write(`tidemark: ${messageOf(error).split('\n').map(printable).join('\n')}\n`);
  if (['debug', 'trace'].includes(context.environment['TIDEMARK_LOG_LEVEL'] ?? '')) {
    context.stderr.write(`${stackOf(error)}\n`);
  }
  if (error instanceof CommandFailed) return error.exitCode;
  const isUsage = error instanceof TidemarkError && error.code === 'BAD_SETTING';
  return isUsage ? exitCodes.usage : exitCodes.failed;
}

function messageOf(error: unknown): string {
  if (error instanceof TidemarkError) return `${error.message} [${error.code}]`;
  return error instanceof Error ? error.message : String(error);
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\ncaused by ${stackOf(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
