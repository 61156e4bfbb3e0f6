/**
 * Days of log requests for tests of the batch, with every kind of trouble, and their exact figures by a
 * plain program over what was sent: it knows neither files nor hashes.
 */
import type { Delivery } from './delivered.ts';
import { encodeRequest } from './otlp.ts';

export interface LogRecord {
  readonly timeUnixNano?: string;
  readonly observedTimeUnixNano?: string;
  readonly severityNumber?: number;
  readonly severityText?: string;
  readonly body?: Readonly<Record<string, unknown>>;
  readonly attributes?: readonly { key: string; value: { stringValue: string } }[];
}

/** One request: records under one service. */
export interface LogRequest {
  readonly tenantId: string;
  readonly service: string;
  readonly records: readonly LogRecord[];
}

export interface SentRequest extends LogRequest {
  readonly receivedMs: number;
  readonly partition: number;
  readonly offset: bigint;
}

export function deliveryOf({ tenantId, service, records, ...from }: SentRequest): Delivery {
  const attributes = [{ key: 'service.name', value: { stringValue: service } }];
  const request = encodeRequest('logs', {
    resourceLogs: [{ resource: { attributes }, scopeLogs: [{ logRecords: records }] }],
  });
  return { request, tenantId, ...from };
}

export interface LogFigures {
  readonly total: number;
  readonly duplicates: number;
  readonly bytes: number;
  readonly bodies: number;
}

/**
 * Figures by tenant, service, severity and hour, as `[tenant, service, number, text, hour]`. Records of a
 * request are told apart by content and by how often it came before; the first received counts.
 */
export function plainFigures(requests: readonly SentRequest[]): Map<string, LogFigures> {
  const seen = new Set<string>();
  const bodies = new Map<string, Set<string>>();
  const figures = new Map<string, LogFigures>();
  const arrival = requests.toSorted(
    (a, b) =>
      a.receivedMs - b.receivedMs || a.partition - b.partition || Number(a.offset - b.offset),
  );
  for (const { tenantId, service, records, receivedMs } of arrival) {
    const repeats = new Map<string, number>();
    for (const record of records) {
      const content = JSON.stringify([tenantId, service, record]);
      const occurrence = (repeats.get(content) ?? 0) + 1;
      repeats.set(content, occurrence);
      const body = textOf(record.body);
      const key = keyOf(tenantId, service, record, receivedMs);
      const known = figures.get(key) ?? { total: 0, duplicates: 0, bytes: 0, bodies: 0 };
      if (seen.has(`${occurrence} ${content}`)) {
        figures.set(key, { ...known, duplicates: known.duplicates + 1 });
        continue;
      }
      seen.add(`${occurrence} ${content}`);
      const distinct = bodies.get(key) ?? new Set<string>();
      bodies.set(key, distinct.add(body));
      figures.set(key, {
        ...known,
        total: known.total + 1,
        bytes: known.bytes + Buffer.byteLength(body),
        bodies: distinct.size,
      });
    }
  }
  return figures;
}

function keyOf(tenantId: string, service: string, record: LogRecord, receivedMs: number): string {
  const { timeUnixNano = '0', observedTimeUnixNano = '0' } = record;
  const ownNs = BigInt(timeUnixNano) || BigInt(observedTimeUnixNano);
  const ms = ownNs === 0n ? receivedMs : Number(ownNs / 1_000_000n);
  const hour = new Date(Math.floor(ms / 3_600_000) * 3_600_000).toISOString().slice(0, 13);
  const { severityNumber = 0, severityText = '' } = record;
  return JSON.stringify([tenantId, service, severityNumber, severityText, hour]);
}

function textOf(body: LogRecord['body']): string {
  const [value = ''] = Object.values(body ?? {});
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/**
 * Requests of one day: few contents, so that lines repeat within and across requests, all severities,
 * bodies of all lengths and kinds, records without a time. Some are delivered again, elsewhere or later.
 */
export function randomLogDay(random: () => number, dayMs: number, count: number): SentRequest[] {
  const whole = (below: number): number => Math.floor(random() * below);
  const requests: SentRequest[] = [];
  for (let index = 0; index < count; index += 1) {
    const again = requests[whole(requests.length)];
    const hour = [0, 9, 23][whole(3)] ?? 0;
    const receivedMs = dayMs + hour * 3_600_000 + whole(3_600_000);
    const from = { receivedMs, partition: whole(2) - 1, offset: BigInt(index) };
    if (again !== undefined && random() < 0.15) {
      requests.push({ ...again, ...from, receivedMs: again.receivedMs + whole(60_000) });
      continue;
    }
    const records = Array.from({ length: 1 + whole(40) }, () => randomRecord(random, receivedMs));
    const twice = records.flatMap((record) => (random() < 0.1 ? [record, record] : [record]));
    const tenantId = random() < 0.7 ? 'default' : 'acme';
    const service = ['checkout', 'cart', '', 'zahlung-ü'][whole(4)] ?? '';
    requests.push({ tenantId, service, records: twice, ...from });
  }
  return requests;
}

function randomRecord(random: () => number, receivedMs: number): LogRecord {
  const whole = (below: number): number => Math.floor(random() * below);
  const time = String(BigInt(receivedMs - (receivedMs % 3_600_000) + whole(5000)) * 1_000_000n);
  const shape = random();
  const times =
    shape < 0.8
      ? { timeUnixNano: time }
      : shape < 0.95
        ? { observedTimeUnixNano: time }
        : ({} as const);
  const texts = ['INFO', 'Error', '', 'a b', 'wärn'];
  return {
    ...times,
    ...(random() < 0.9 && { severityNumber: whole(25) }),
    severityText: texts[whole(texts.length)] ?? '',
    ...(random() < 0.95 && { body: randomBody(random) }),
    ...(random() < 0.3 && {
      attributes: [{ key: 'k', value: { stringValue: String(whole(3)) } }],
    }),
  };
}

function randomBody(random: () => number): Readonly<Record<string, unknown>> {
  const whole = (below: number): number => Math.floor(random() * below);
  const shape = random();
  if (shape < 0.1) return { intValue: whole(5) };
  if (shape < 0.15) return { boolValue: random() < 0.5 };
  if (shape < 0.17) return { stringValue: 'x'.repeat(whole(40_000)) };
  return { stringValue: `${'GET /ü '.repeat(whole(8))}${whole(300)}` };
}
