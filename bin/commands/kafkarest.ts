/** `tidemark kafka-rest`: settings → Kafka → gateway, until it is told to stop. */
import { once } from 'node:events';
import { Command } from 'commander';
import type { Context } from '../context.ts';
import { logOf, settingsOf } from '../context.ts';
import { openRegistry } from '../registry.ts';

interface Flags {
  readonly host?: string;
  readonly port?: string;
  readonly json?: boolean;
}

/** The command; runs until SIGINT or SIGTERM, then answers what it has read. */
export function kafkaRestCommand(context: Context): Command {
  return new Command('kafka-rest')
    .description("serve Confluent's REST produce endpoints (v2, v3) for the brokers KAFKA_BROKERS")
    .option('--host <address>', 'address to listen on (TIDEMARK_KAFKA_REST_HOST, 127.0.0.1)')
    .option('--port <number>', 'port to listen on (TIDEMARK_KAFKA_REST_PORT, 8082)')
    .option('--json', 'print the address as one line of JSON')
    .action((flags: Flags) => serve(context, flags));
}

async function serve(context: Context, flags: Flags): Promise<void> {
  const settings = settingsOf(context, {
    TIDEMARK_KAFKA_REST_HOST: flags.host,
    TIDEMARK_KAFKA_REST_PORT: flags.port,
  });
  const { assertLogin, openKafka } = await import('../../workers/clients/kafka/kafka.ts');
  const { startGateway } = await import('../../workers/gateway.ts');
  const log = logOf(context, settings);
  const kafka = openKafka(settings, log);
  await assertLogin(kafka);
  const gateway = await startGateway({
    kafka,
    settings,
    log,
    now: context.now,
    monotonicMs: () => performance.now(),
    registry: openRegistry(),
  });
  const { url } = gateway;
  const ready = { ready: true, url, brokers: settings.KAFKA_BROKERS };
  context.stdout.write(flags.json ? `${JSON.stringify(ready)}\n` : greeting(url));
  if (!context.signal.aborted) await once(context.signal, 'abort');
  await gateway.close();
}

function greeting(url: string): string {
  return `The Kafka REST gateway serves ${url}. Ctrl-C stops it.

  curl ${url}/topics
  curl ${url}/topics/otlp_spans -H 'content-type: application/vnd.kafka.binary.v2+json' \\
    -d '{"records":[{"key":"aGVsbG8=","value":"d29ybGQ="}]}'
`;
}
