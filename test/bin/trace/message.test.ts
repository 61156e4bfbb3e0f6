/** OTLP/JSON of random messages: read back by the edge, it must say what protobufjs reads of them. */
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { messageToJson } from '../../../bin/trace/message.ts';
import { jsonToProtobuf } from '../../../edge/json.ts';
import type { Signal } from '../../../schemas/archive.ts';
import { Generator } from '../../aggregator-as/generate.ts';
import { LogGenerator } from '../../aggregator-as/logmaker.ts';
import { PointGenerator } from '../../aggregator-as/pointmaker.ts';
import { linesOf } from '../../support/items.ts';
import { seededRandom } from '../../support/random.ts';

const protos = fileURLToPath(new URL('../../../schemas/otlp/', import.meta.url));
const root = new protobuf.Root();
root.resolvePath = (_, target) => `${protos}${target}`;
for (const name of ['trace', 'logs', 'metrics']) {
  root.loadSync(`opentelemetry/proto/collector/${name}/v1/${name}_service.proto`);
}

const kinds: Record<Signal, [string, (random: () => number) => { request(): Uint8Array }]> = {
  traces: ['ExportTraceServiceRequest', (random) => new Generator(random)],
  logs: ['ExportLogsServiceRequest', (random) => new LogGenerator(random)],
  metrics: ['ExportMetricsServiceRequest', (random) => new PointGenerator(random)],
};

/**
 * The request as protobufjs writes it, without unknown fields, which JSON cannot say; `undefined` for
 * one that has a string which is not UTF-8.
 */
function plainOf(type: protobuf.Type, request: Uint8Array): Uint8Array | undefined {
  try {
    const plain = type.toObject(type.decode(Buffer.from(request)), { longs: String });
    return type.encode(type.fromObject(plain)).finish();
  } catch {
    return undefined;
  }
}

describe('messageToJson()', () => {
  it.each(['traces', 'logs', 'metrics'] as const)(
    'gives %s as the specification has it',
    (signal) => {
      const seed = 21;
      console.info(`seed ${seed}`);
      const [name, maker] = kinds[signal];
      const generator = maker(seededRandom(seed));
      const type = root.lookupType(name);
      let items = 0;
      for (let index = 0; index < 300; index += 1) {
        const request = plainOf(type, generator.request());
        if (!request) continue;
        const json = Buffer.from(JSON.stringify(messageToJson(name, request)));
        const lines = linesOf(signal, request);
        expect(linesOf(signal, jsonToProtobuf(name, json, 1e8))).toEqual(lines);
        items += lines.length;
      }
      expect(items).toBeGreaterThan(40);
    },
  );

  it('writes ids in hex, numbers of 64 bits as text and enums as numbers', () => {
    const span = Buffer.from('0a02abcd300239e803000000000000', 'hex');
    expect(messageToJson('Span', span)).toEqual({
      traceId: 'abcd',
      kind: 2,
      startTimeUnixNano: '1000',
    });
    expect(() => messageToJson('Span', span.subarray(0, 3))).toThrow(/Span/);
  });
});
