/** Tests of the requests that a check sends: protobufjs reads both encodings as the same items. */
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { mixed, signals, valid } from '../../../bin/check/payload.ts';
import type { Encoding, Signal, Target } from '../../../bin/check/row.ts';

const protos = fileURLToPath(new URL('../../../schemas/otlp/', import.meta.url));
const root = new protobuf.Root();
root.resolvePath = (_, target) => `${protos}${target}`;
const requests = { traces: 'Trace', logs: 'Logs', metrics: 'Metrics' };
for (const signal of signals) {
  const name = requests[signal].toLowerCase();
  root.loadSync(`opentelemetry/proto/collector/${name}/v1/${name}_service.proto`);
}

/** All that making requests needs. */
const target = {
  nowNs: () => 1_795_348_800_000_000_001n,
  randomBytes: (length: number) => new Uint8Array(length).fill(0xab),
} as Target;

/** What a request says, as plain values: ids as hex, 64-bit numbers as text. */
function read(signal: Signal, encoding: Encoding, body: Uint8Array): unknown {
  const type = root.lookupType(`Export${requests[signal]}ServiceRequest`);
  if (encoding === 'json') return JSON.parse(new TextDecoder().decode(body));
  const decoded: unknown = type.toObject(type.decode(body), { longs: String, bytes: Array });
  return JSON.parse(
    JSON.stringify(decoded, (key, value: unknown) =>
      Array.isArray(value) && key.endsWith('Id')
        ? Buffer.from(value as number[]).toString('hex')
        : value,
    ),
  );
}

describe.each(signals)('a request of %s', (signal) => {
  it('names the check and holds one item with the time, in both encodings', () => {
    for (const encoding of ['protobuf', 'json'] as const) {
      const request = JSON.stringify(read(signal, encoding, valid(target, signal, encoding)));
      expect(request).toContain('"stringValue":"tidemark-check"');
      expect(request.match(/1795348800000000001/g)?.length).toBeGreaterThanOrEqual(1);
    }
  });

  it('that mixes has three items, of which the second alone is invalid', () => {
    for (const encoding of ['protobuf', 'json'] as const) {
      const request = read(signal, encoding, mixed(target, signal, encoding));
      const [resource] = Object.values(request as Record<string, Record<string, unknown>[]>).flat();
      const scopes = Object.entries(resource ?? {}).find(([name]) => name.startsWith('scope'));
      const [scope] = (scopes?.[1] ?? []) as Record<string, unknown>[];
      const items = ['spans', 'logRecords', 'metrics'].flatMap((name) => scope?.[name] ?? []);
      expect(items).toHaveLength(3);
      const ids = items.map((item) => (item as { traceId?: string }).traceId?.length);
      const times = items.map((item) => JSON.stringify(item).includes('timeUnixNano":"1'));
      if (signal === 'metrics') expect(times).toEqual([true, false, true]);
      else expect(ids).toEqual([32, 30, 32]);
    }
  });
});
