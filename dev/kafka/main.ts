/**
 * Entry of the embedded Kafka: runs the broker until it is told to stop or its starter is gone, so
 * that no Java process stays behind. Started by `dev/up.ts` and `dev/kafka.ts`; says `{"ready":…}` on
 * stdout.
 */
import { parseArgs } from 'node:util';
import { startBroker } from './broker.ts';

const { values } = parseArgs({
  options: {
    directory: { type: 'string' },
    port: { type: 'string' },
    jars: { type: 'string' },
    properties: { type: 'string', default: '{}' },
  },
  strict: true,
});

const broker = await startBroker({
  directory: values.directory ?? '',
  port: Number(values.port),
  jars: values.jars ?? '',
  properties: JSON.parse(values.properties) as Record<string, string>,
  environment: process.env,
  onLine: (line) => void process.stderr.write(`${line}\n`),
}).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
let isStopping = false;
process.once('SIGTERM', stop).once('SIGINT', stop).once('disconnect', stop);
if (process.send !== undefined && !process.connected) stop();
process.stdout.write(`${JSON.stringify({ ready: true, pid: broker.process.pid })}\n`);
await broker.ended;
process.exit(isStopping ? 0 : 1);

function stop(): void {
  isStopping = true;
  void broker.stop();
}
