/** `tidemark start`: the embedded stack until it is told to stop. The stack is in `dev/up.ts`. */
import { Command } from 'commander';
import type { Context } from '../context.ts';
import { settingsOf } from '../context.ts';

interface Flags {
  readonly port?: string;
  readonly data?: string;
  readonly clickhousePort?: string;
  readonly kafka?: boolean;
  readonly kafkaPort?: string;
  readonly kafkaRestPort?: string;
  readonly metricsPort?: string;
  readonly json?: boolean;
}

/** Requests are archived this long after they came, so that a visitor can watch it happen. */
const flushAgeMs = '5000';

/** The command; runs until SIGINT or SIGTERM, or until a part ends for good (exit code 1). */
export function startCommand(context: Context): Command {
  return new Command('start')
    .description('run the whole stack on this machine: edge, ClickHouse, object store, archiver')
    .option('--port <number>', 'port of the OTLP/HTTP endpoint (TIDEMARK_PORT, 8787)')
    .option('--clickhouse-port <number>', 'port of ClickHouse (TIDEMARK_CLICKHOUSE_PORT, 8123)')
    .option('--data <directory>', 'where all data is kept (TIDEMARK_DATA, .tidemark)')
    .option('--kafka', 'archive through a real Kafka; needs Java 17, and Maven to fetch it once')
    .option('--kafka-port <number>', 'port of Kafka (TIDEMARK_KAFKA_PORT, 9092)')
    .option('--kafka-rest-port <number>', 'port of its gateway (TIDEMARK_KAFKA_REST_PORT, 8082)')
    .option(
      '--metrics-port <number>',
      "port of the archiver's metrics (TIDEMARK_METRICS_PORT, off)",
    )
    .option('--json', 'print the addresses as one line of JSON')
    .action((flags: Flags) => start(context, flags));
}

async function start(context: Context, flags: Flags): Promise<void> {
  const settings = settingsOf(context, {
    TIDEMARK_PORT: flags.port,
    TIDEMARK_CLICKHOUSE_PORT: flags.clickhousePort,
    TIDEMARK_DATA: flags.data,
    TIDEMARK_KAFKA_PORT: flags.kafkaPort,
    TIDEMARK_KAFKA_REST_PORT: flags.kafkaRestPort,
    TIDEMARK_FLUSH_AGE_MS: context.environment['TIDEMARK_FLUSH_AGE_MS'] ?? flushAgeMs,
    TIDEMARK_METRICS_PORT: flags.metricsPort,
  });
  // Of what only parts read, this is known before they start.
  const { checkTimetable } = await import('../../batch/scheduler/timetable.ts');
  checkTimetable(settings);
  const { up } = await import('../../dev/up.ts');
  const startMs = context.now();
  if (!flags.json) context.stderr.write('Starting edge, ClickHouse, object store and archiver …\n');
  const stack = await up({
    settings,
    environment: context.environment,
    monotonicMs: () => performance.now(),
    kafka: flags.kafka ?? false,
    lookup: true,
    signal: context.signal,
    metrics: (flags.metricsPort ?? context.environment['TIDEMARK_METRICS_PORT']) !== undefined,
    onLine: (part, line) => {
      context.stderr.write(line.startsWith('{') ? `${line}\n` : `${part}: ${line}\n`);
    },
  });
  const addresses = {
    otlp: stack.endpoint,
    clickhouse: stack.settings.CLICKHOUSE_URL,
    s3: stack.settings.S3_ENDPOINT,
    bucket: stack.settings.S3_BUCKET,
    ...(flags.kafka && {
      kafka: stack.settings.KAFKA_BROKERS,
      kafkaRest: stack.settings.KAFKA_REST_URL,
    }),
    ...(stack.settings.TIDEMARK_METRICS_PORT !== 0 && {
      metrics: `http://127.0.0.1:${stack.settings.TIDEMARK_METRICS_PORT}/metrics`,
    }),
    data: stack.directory,
    readyMs: context.now() - startMs,
    pid: process.pid,
  };
  context.stdout.write(flags.json ? `${JSON.stringify(addresses)}\n` : greeting(addresses));
  const reason = await Promise.race([stack.died, aborted(context.signal)]);
  if (!reason && !flags.json) context.stdout.write('\nStopping: the archiver ends its commit …\n');
  await stack.stop();
  if (reason) throw reason;
}

interface Addresses {
  readonly otlp: string;
  readonly clickhouse: string;
  readonly s3: string;
  readonly bucket: string;
  readonly kafka?: string;
  readonly kafkaRest?: string;
  readonly metrics?: string;
  readonly data: string;
  readonly readyMs: number;
}

function greeting(addresses: Addresses): string {
  const { otlp, clickhouse, s3, bucket, kafka, kafkaRest, metrics, data, readyMs } = addresses;
  const brokers = kafka ? `\n  Kafka       ${kafka} (REST ${kafkaRest ?? ''})` : '';
  const watched = metrics ? `\n  metrics     ${metrics}` : '';
  return `Tidemark is ready (${(readyMs / 1000).toFixed(1)} s). Ctrl-C stops it; the data stays.

  OTLP/HTTP   ${otlp}
  dashboard   ${new URL('/', otlp).href}
  ClickHouse  ${clickhouse}
  S3          ${s3} (bucket "${bucket}")${brokers}${watched}
  data        ${data}

Send a span and look at it:

  now=$(date +%s)
  curl ${otlp} -H 'content-type: application/json' -d '{"resourceSpans":[{
    "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"hello"}}]},
    "scopeSpans":[{"spans":[{"name":"first","kind":2,
      "traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",
      "startTimeUnixNano":"'$now'000000000","endTimeUnixNano":"'$now'250000000"}]}]}]}'
  curl ${clickhouse} --data 'SELECT Timestamp, ServiceName, SpanName, Duration FROM otel_traces'

An OpenTelemetry SDK needs only OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=${otlp}
`;
}

async function aborted(signal: AbortSignal): Promise<undefined> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
