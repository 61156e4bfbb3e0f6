/**
 * Entry of the embedded ClickHouse: arguments → front → one JSON line when it is ready → SIGTERM. It
 * listens where it is told and nowhere else; on the network it has no protection.
 */
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { TidemarkError } from '../../schemas/errors.ts';
import { clickHouseInsertsMax, clickHouseQueriesMax } from '../../schemas/limits/dev.ts';

const usage = `Usage: node dev/clickhouse/main.ts --data DIR [--port N] [--host ADDRESS]
  --data DIR      directory of the tables; made if it is not there
  --port N        port to listen on; 0 takes any free one (default 8123)
  --host ADDRESS  address to listen on (default 127.0.0.1)
  --config FILE   the engine's configuration, as clickhouse-local reads it, such as of users
`;

/** Threads for files and compression, beside those that wait for statements. */
const otherThreads = 4;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      data: { type: 'string' },
      port: { type: 'string', default: '8123' },
      host: { type: 'string', default: '127.0.0.1' },
      config: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const port = Number(values.port);
  if (values.data === undefined || !Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new TidemarkError('BAD_SETTING', `Cannot start ClickHouse: wrong arguments\n${usage}`);
  }
  // Both are read once, when the first thread and the engine start: hence the late import.
  process.env['UV_THREADPOOL_SIZE'] = String(
    clickHouseQueriesMax + clickHouseInsertsMax + otherThreads,
  );
  process.env['TZ'] = 'UTC';
  const { startFront } = await import('./server.ts');
  const front = await startFront({
    dataDir: values.data,
    configPath: values.config,
    host: values.host,
    port,
    log: (line) => process.stderr.write(`${line}\n`),
    nowNs: () => process.hrtime.bigint(),
    randomId: randomUUID,
  });
  process.stdout.write(`${JSON.stringify({ ready: true, port: front.port })}\n`);
  await stopped();
  await front.close();
}

/**
 * Resolves at the first SIGTERM or SIGINT, or when the program that started this one is gone; a
 * second signal ends the process at once.
 */
async function stopped(): Promise<void> {
  await new Promise<void>((resolve) => {
    process.once('disconnect', () => resolve());
    process.channel?.unref();
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(1));
        resolve();
      });
    }
  });
}

try {
  await main();
} catch (error) {
  const text = error instanceof TidemarkError ? error.message : String(error);
  process.stderr.write(`${text}\n`);
  process.exitCode = 1;
}
