/** Settings of the batch on many machines: its topic, its workers and their retries. */
import { integer, row } from './row.ts';

export const taskSettings = {
  TIDEMARK_BATCH_FLEET: {
    ...row(
      'choice',
      'off',
      'Who computes shards: `off`, threads of the machine that runs the batch; `on`, `tidemark batch worker` on any number of machines (needs KAFKA_BROKERS)',
      ['batch', 'start'],
    ),
    choices: ['off', 'on'],
  },
  TIDEMARK_TASK_TOPIC: row(
    'string',
    'tidemark_batch_tasks',
    'Kafka topic of the tasks; what nobody can compute goes to the one with `_dead` behind its name',
    ['batch'],
  ),
  TIDEMARK_TASK_PARTITIONS: integer(
    'partitions',
    24,
    'Partitions of that topic where Tidemark creates it, and shards that a period is cut into, when it is large enough: more than there are worker threads',
    ['batch'],
    1,
    10_000,
  ),
  TIDEMARK_TASK_GROUP: row(
    'string',
    'tidemark-batch',
    "Beginning of the names of the workers' consumer groups, one for each version of the code",
    ['batch'],
  ),
  TIDEMARK_TASK_RETRY_MS: integer(
    'ms',
    600_000,
    'Pause before a shard that failed in the fleet is tried again; it is tried three times',
    ['batch'],
    0,
  ),
  TIDEMARK_TASK_STOP_MS: integer(
    'ms',
    20_000,
    'What a worker that is told to stop may spend on the shards that it computes; after that they are handed back',
    ['batch'],
    0,
    3_600_000,
  ),
} as const;
