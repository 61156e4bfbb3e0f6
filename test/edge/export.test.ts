/**
 * The OTLP/HTTP contract for every signal alike, against the whole Worker in workerd: what a
 * request becomes and how it is answered. Numbers are those of the contract's rows.
 */
import * as zlib from 'node:zlib';
import { beforeEach, describe, expect, it } from 'vitest';
import { Transcoder } from '../../aggregator-as/host.ts';
import { jsonToProtobuf } from '../../edge/json.ts';
import { settings } from '../../schemas/settings.ts';
import { samples } from './items.ts';
import type { Sample } from './items.ts';
import { clear, jsonType, keys, nowMs, protobufType, stack, stored, transcoder } from './stack.ts';
import { exportedOf, statusOf } from './status.ts';

const receipt = {
  tenantId: 'default',
  receivedMs: nowMs,
  pastMaxMs: Number(settings.TIDEMARK_PAST_MAX_MS.default),
  futureMaxMs: Number(settings.TIDEMARK_FUTURE_MAX_MS.default),
};

beforeEach(clear);

function json(sample: Sample, items: readonly object[]): string {
  return JSON.stringify(sample.around(items));
}

function bytes(sample: Sample, items: readonly object[]): Uint8Array {
  const text = new TextEncoder().encode(json(sample, items));
  return jsonToProtobuf(sample.request, text, 1 << 26);
}

function valid(sample: Sample, count: number): object[] {
  return Array.from({ length: count }, (_value, index) => sample.item(index));
}

function attributesOf(count: number): object[] {
  return Array.from({ length: count }, (_value, index) => ({ key: `k${index}` }));
}

/** A request whose resource, which every row repeats, is large. */
function amplified(sample: Sample, resourceBytes: number, count: number): string {
  const value = { stringValue: 'v'.repeat(resourceBytes) };
  const resource = { attributes: [{ key: 'k', value }] };
  const [[name, envelopes]] = Object.entries(sample.around(valid(sample, count))) as [
    [string, object[]],
  ];
  return JSON.stringify({ [name]: envelopes.map((envelope) => ({ resource, ...envelope })) });
}

describe.each(samples)('createEdge() takes $signal', (sample) => {
  const { path, signal } = sample;

  it('rows 1, 2, 3: archives the bytes as they came and inserts their rows', async () => {
    const { postTo, inserts } = stack();
    const body = bytes(sample, valid(sample, 3));
    expect((await postTo(path, body)).status).toBe(200);
    expect(await keys()).toEqual([`spool/archive/${sample.topic}/${nowMs}+request-1+default`]);
    expect(await stored((await keys())[0] ?? '')).toEqual(body);
    const { tables } = new Transcoder(transcoder).toRowBinary(signal, body, receipt);
    expect(tables.map(({ table, rowCount }) => [table, rowCount])).toEqual([[sample.table, 3]]);
    expect(inserts.map(({ rows }) => rows)).toEqual(tables.map(({ rows }) => rows));
    expect(inserts[0]?.url.searchParams.get('query')).toContain(sample.table);
  });

  it('rows 8, 13, 15: JSON becomes the same bytes, and the answer has its type', async () => {
    const { postTo } = stack();
    const response = await postTo(path, json(sample, valid(sample, 3)), jsonType);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(await stored((await keys())[0] ?? '')).toEqual(bytes(sample, valid(sample, 3)));
  });

  it('row 5: a prefix names the tenant', async () => {
    const { postTo } = stack();
    const body = bytes(sample, valid(sample, 1));
    expect((await postTo(`/t/shop${path}`, body)).status).toBe(200);
    expect((await postTo(`//t/shop/${path}/`, body)).status).toBe(200);
    expect(await keys()).toEqual([
      `spool/archive/${sample.topic}/${nowMs}+request-1+shop`,
      `spool/archive/${sample.topic}/${nowMs}+request-2+shop`,
    ]);
  });

  it.each(['GET', 'PUT', 'DELETE'])('row 9: %s is 405 with Allow and a Status', async (method) => {
    const { edge } = stack();
    const response = await edge.fetch(new Request(`http://localhost/t/shop${path}`, { method }));
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('POST');
    expect((await statusOf(response)).code).toBe(12);
  });

  it.each([
    ['gzip', zlib.gzipSync],
    ['zstd', zlib.zstdCompressSync],
    ['deflate', zlib.deflateSync],
    ['zlib', zlib.deflateSync],
    ['none', (plain: Uint8Array) => plain],
  ] as const)('rows 17, 18: encoding %s is taken, in both types', async (encoding, compress) => {
    const { postTo } = stack();
    const body = bytes(sample, valid(sample, 2));
    const text = new TextEncoder().encode(json(sample, valid(sample, 2)));
    for (const [plain, type] of [[body, protobufType] as const, [text, jsonType] as const]) {
      const headers = { ...type, 'content-encoding': encoding };
      expect((await postTo(path, compress(plain), headers)).status).toBe(200);
    }
    expect(await Promise.all((await keys()).map(stored))).toEqual([body, body]);
  });

  it.each(['snappy', 'x-snappy-framed', 'lz4', 'br'])(
    'rows 18, 19: encoding %s is 415 with the accepted ones',
    async (encoding) => {
      const headers = { ...protobufType, 'content-encoding': encoding };
      const response = await stack().postTo(path, new Uint8Array(9), headers);
      expect(response.status).toBe(415);
      expect((await statusOf(response)).message).toMatch(/identity, gzip, deflate, zstd/);
    },
  );

  it('row 31: full success leaves partial_success unset', async () => {
    const { postTo } = stack();
    const response = await postTo(path, bytes(sample, valid(sample, 1)));
    expect((await response.arrayBuffer()).byteLength).toBe(0);
    const inJson = await postTo(path, json(sample, valid(sample, 1)), jsonType);
    expect(await inJson.text()).toBe('{}');
  });

  it('rows 32, 33: empty requests and envelopes are 200 and leave nothing', async () => {
    const { postTo, inserts } = stack();
    expect((await postTo(path, null)).status).toBe(200);
    expect((await postTo(path, '{}', jsonType)).status).toBe(200);
    expect((await postTo(path, bytes(sample, []))).status).toBe(200);
    expect((await postTo(path, json(sample, []), jsonType)).status).toBe(200);
    expect(await keys()).toEqual([]);
    expect(inserts).toEqual([]);
  });

  it('rows 34, 35, 37: some rejected is 200 with the exact count under its own name', async () => {
    const { postTo, edge } = stack();
    const mixed = [sample.item(0), sample.bad(), sample.item(1), sample.bad(), sample.bad()];
    const response = await postTo(path, bytes(sample, mixed));
    expect(response.status).toBe(200);
    const partialSuccess = {
      [sample.rejected]: '3',
      errorMessage: expect.stringMatching(/^3 of 5 (spans|data points|log records) rejected/),
    };
    expect(await exportedOf(response, sample.response)).toEqual({ partialSuccess });
    const inJson = await postTo(path, json(sample, mixed), jsonType);
    expect(await inJson.json()).toEqual({ partialSuccess });
    const text = await (await edge.fetch(new Request('http://localhost/metrics'))).text();
    expect(text).toContain(`items_accepted_total{signal="${signal}",tenant="default"} 4\n`);
    expect(text).toMatch(
      new RegExp(`items_rejected_total\\{signal="${signal}",reason="\\w+",tenant="default"\\} 6`),
    );
  });

  it('row 34: all rejected is 200 with the count of all, and leaves nothing', async () => {
    const { postTo, inserts } = stack();
    const response = await postTo(path, bytes(sample, [sample.bad(), sample.bad()]));
    expect(response.status).toBe(200);
    expect(await exportedOf(response, sample.response)).toMatchObject({
      partialSuccess: { [sample.rejected]: '2' },
    });
    expect(await keys()).toEqual([]);
    expect(inserts).toEqual([]);
  });

  it('row 36: quarantined items are a warning with nothing rejected, archived without a row', async () => {
    const { postTo, inserts } = stack();
    const response = await postTo(path, bytes(sample, [sample.old()]));
    expect(await exportedOf(response, sample.response)).toEqual({
      partialSuccess: { errorMessage: expect.stringContaining('not shown live: 1 ') },
    });
    expect(await keys()).toHaveLength(1);
    expect(inserts).toEqual([]);
  });

  it('rows 40, 42: a fault in JSON is 400, and the details name the path to it', async () => {
    const [text, field] = sample.fault;
    const response = await stack().postTo(path, text, jsonType);
    expect(response.status).toBe(400);
    const { code, fields } = await statusOf(response);
    expect([code, fields]).toEqual([3, [field]]);
  });

  it('rows 40, 42, 67: bytes that are no request are 400 and leave nothing', async () => {
    const { postTo, inserts } = stack();
    const whole = bytes(sample, valid(sample, 2));
    const bodies = [
      whole.slice(0, -3),
      Uint8Array.from([0x08, 0x01]),
      new Uint8Array(20).fill(255),
    ];
    for (const body of bodies) {
      const response = await postTo(path, body);
      expect(response.status).toBe(400);
      expect((await statusOf(response)).message).toMatch(/byte \d+/);
    }
    expect(await keys()).toEqual([]);
    expect(inserts).toEqual([]);
  });

  it.each([
    ['of few items that each repeat much', 64 * 1024, 600],
    ['of very many small items', 10, 40_000],
  ])(
    'row 25: a request %s is 413, names the bound and leaves nothing',
    async (_what, size, count) => {
      const bound = size > 1000 ? {} : { TIDEMARK_TRANSCODER_BYTES_MAX: String(2 << 20) };
      const { postTo, inserts } = stack({ settings: bound });
      const response = await postTo(path, amplified(sample, size, count), jsonType);
      expect(response.status).toBe(413);
      const { code, message } = await statusOf(response);
      expect(code).toBe(3);
      expect(message).toMatch(/more than the (24|2) MiB .* send fewer items/);
      expect(await keys()).toEqual([]);
      expect(inserts).toEqual([]);
      expect((await postTo(path, bytes(sample, valid(sample, 1)))).status).toBe(200);
    },
  );

  it('an item of more attributes than are allowed is rejected, and the setting says how many', async () => {
    const { postTo } = stack({ settings: { TIDEMARK_ATTRIBUTES_MAX: '3' } });
    const three = sample.with(attributesOf(3));
    const four = sample.with(attributesOf(4));
    const response = await postTo(path, bytes(sample, [three, four]));
    expect(await exportedOf(response, sample.response)).toEqual({
      partialSuccess: {
        [sample.rejected]: '1',
        errorMessage: expect.stringMatching(
          /\(attributes: 1\).* 1: it has 4 attributes, at most 3/,
        ),
      },
    });
    const lax = stack();
    const many = bytes(sample, [sample.with(attributesOf(1000))]);
    expect((await (await lax.postTo(path, many)).arrayBuffer()).byteLength).toBe(0);
  });

  it('rows 57, 67: unknown fields are skipped in both encodings', async () => {
    const { postTo } = stack();
    const around = { unknown: [{ deep: null }], ...sample.around(valid(sample, 1)) };
    const response = await postTo(path, JSON.stringify(around), jsonType);
    expect(await response.text()).toBe('{}');
    const body = bytes(sample, valid(sample, 1));
    // Field 1000, a string of two bytes, then a group of number 1001 that holds a varint.
    const unknown = [0xc2, 0x3e, 0x02, 0x41, 0x42, 0xcb, 0x3e, 0x08, 0x01, 0xcc, 0x3e];
    expect((await postTo(path, Uint8Array.from([...unknown, ...body]))).status).toBe(200);
    expect(await keys()).toHaveLength(2);
  });

  it('row 58: names of the proto are taken, and are unknown in strict mode', async () => {
    const snake = json(sample, valid(sample, 1))
      .replaceAll(/"(resource|scope|data|log)([A-Z])/g, '"$1_$2')
      .replaceAll(/"[a-z]+_[A-Z]\w*"/g, (name) => name.toLowerCase());
    const lax = stack();
    expect(await (await lax.postTo(path, snake, jsonType)).text()).toBe('{}');
    expect(lax.inserts).toHaveLength(1);
    const strict = stack({ settings: { TIDEMARK_JSON_NAMES: 'camel' } });
    expect((await strict.postTo(path, snake, jsonType)).status).toBe(200);
    expect(strict.inserts).toEqual([]);
  });
});
