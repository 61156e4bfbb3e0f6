/** `tidemark batch`: computes periods exactly and publishes them. Each of its commands has its own file. */
import { Command } from 'commander';
import type { Context } from '../context.ts';
import { batchRunCommand } from './batch/run.ts';

/** The commands under `batch`. */
export function batchCommand(context: Context): Command {
  return new Command('batch')
    .description('compute and publish the exact figures of days and hours')
    .addCommand(batchRunCommand(context));
}
