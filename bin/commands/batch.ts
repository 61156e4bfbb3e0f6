/** `tidemark batch`: computes periods exactly and publishes them. Each of its commands has its own file. */
import { Command } from 'commander';
import type { Context } from '../context.ts';
import { batchBackfillCommand } from './batch/backfill.ts';
import { batchRollbackCommand } from './batch/rollback.ts';
import { batchRunCommand } from './batch/run.ts';
import { batchRunsCommand } from './batch/runs.ts';
import { batchScheduleCommand } from './batch/schedule.ts';
import { batchMergeCommand, batchShardCommand } from './batch/shard.ts';
import { batchWorkerCommand } from './batch/worker.ts';

/** The commands under `batch`. */
export function batchCommand(context: Context): Command {
  return new Command('batch')
    .description('compute and publish the exact figures of days and hours')
    .addCommand(batchRunCommand(context))
    .addCommand(batchRunsCommand(context))
    .addCommand(batchRollbackCommand(context))
    .addCommand(batchScheduleCommand(context))
    .addCommand(batchBackfillCommand(context))
    .addCommand(batchWorkerCommand(context))
    .addCommand(batchShardCommand(context))
    .addCommand(batchMergeCommand(context));
}
