/**
 * A process that runs the batch, for tests that kill it. Its only argument is JSON; a line for each
 * step goes to stdout, and the report last.
 */
import { runBatch, type BatchOptions } from '../../batch/run.ts';
import { parsePeriod } from '../../schemas/period.ts';
import type { Settings } from '../../schemas/settings.ts';
import { openClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { openStore } from '../../workers/clients/store/objects.ts';

export interface BatchProcess {
  readonly settings: Settings;
  readonly date: string;
  readonly force: boolean;
}

const { settings, date, force } = JSON.parse(process.argv[2] ?? '{}') as BatchProcess;
const store = openStore(settings);
const clickhouse = openClickHouse(settings);
const options: BatchOptions = {
  store,
  clickhouse,
  settings,
  clock: Date.now,
  random: Math.random,
  log: { info: () => undefined, warn: (fields, message) => say({ warning: message, ...fields }) },
  period: parsePeriod(date),
  of: 'traces',
  force,
  onProgress: say,
};
say(await runBatch(options));
store.close();
await clickhouse.close();

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
