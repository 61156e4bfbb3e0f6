/** RowBinary rows against protobufjs with a plain reference, and against the ClickHouse engine. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Transcoder } from '../../aggregator-as/host.ts';
import { seededRandom } from '../support/random.ts';
import { loadRows } from './clickhouse.ts';
import { Generator, receivedMs } from './generate.ts';
import { loadTranscoder, receipt } from './module.ts';
import { hexOf, murmur } from './murmur.ts';
import { expectSpans } from './reference.ts';
import type { Expected } from './reference.ts';
import { jsonRowOf, rowBinaryOf } from './rows.ts';
import { bytesField, fixed64Field, message, requestOf, spanId, traceId } from './wire.ts';

let module: WebAssembly.Module;
let transcoder: Transcoder;

beforeAll(async () => {
  module = await loadTranscoder();
  transcoder = new Transcoder(module);
});

function tallyOf({ spans, rejectedBy, invalidUtf8 }: Expected) {
  return {
    accepted: spans.length,
    rejected: Object.values(rejectedBy).reduce((sum, count) => sum + count, 0),
    rejectedBy,
    quarantined: spans.filter(({ quarantined }) => quarantined).length,
    clampedDurations: spans.filter(({ startNs, endNs }) => endNs < startNs).length,
    invalidUtf8,
  };
}

describe('tracesToRowBinary()', () => {
  it('writes the rows that protobufjs and the reference give for random requests', () => {
    for (let seed = 1; seed <= 400; seed++) {
      const request = new Generator(seededRandom(seed)).request();
      const expected = expectSpans(request, receipt);
      const { rows, rowCount, firstRejection, ...tally } = transcoder.tracesToRowBinary(
        request,
        receipt,
      );
      expect(tally, `seed ${seed}`).toEqual(tallyOf(expected));
      expect(firstRejection === undefined, `seed ${seed}`).toBe(tally.rejected === 0);
      const wanted = rowBinaryOf(expected.spans, receipt.tenantId, receipt.receivedMs);
      expect(Buffer.from(rows).equals(wanted), `seed ${seed}`).toBe(true);
      expect(rowCount).toBe(expected.spans.filter(({ quarantined }) => !quarantined).length);
    }
  });

  it('counts a span that ends before it begins, with a duration of 0', () => {
    const span = message(
      bytesField(1, traceId),
      bytesField(2, spanId),
      fixed64Field(7, 1_700_000_000_000_000_001n),
      fixed64Field(8, 1_700_000_000_000_000_000n),
    );
    const { clampedDurations, rowCount } = transcoder.tracesToRowBinary(requestOf(span), receipt);
    expect({ clampedDurations, rowCount }).toEqual({ clampedDurations: 1, rowCount: 1 });
  });

  it('quarantines by the nanosecond, at both bounds', () => {
    const earliestNs = BigInt(receivedMs - receipt.pastMaxMs) * 1_000_000n;
    const latestNs = BigInt(receivedMs + receipt.futureMaxMs) * 1_000_000n;
    const quarantined = [earliestNs - 1n, earliestNs, latestNs, latestNs + 1n, 2n ** 64n - 1n].map(
      (startNs) => {
        const ids = [bytesField(1, traceId), bytesField(2, spanId)];
        const request = requestOf(message(...ids, fixed64Field(7, startNs)));
        return transcoder.tracesToRowBinary(request, receipt).quarantined;
      },
    );
    expect(quarantined).toEqual([1, 0, 0, 1, 1]);
  });

  it('says which span was rejected first, why and where', () => {
    const time = fixed64Field(7, 1_700_000_000_000_000_000n);
    const ids = [bytesField(1, traceId), bytesField(2, spanId)];
    const good = message(...ids, time);
    const link = (...fields: Uint8Array[]) =>
      message(...ids, time, bytesField(13, message(...fields)));
    const cases: [Uint8Array, string][] = [
      [message(bytesField(1, Buffer.alloc(15, 1))), 'trace_id has 15 bytes, wanted 16'],
      [message(bytesField(2, spanId)), 'trace_id has 0 bytes, wanted 16'],
      [message(bytesField(1, Buffer.alloc(16))), 'trace_id is all zero'],
      [
        message(bytesField(1, traceId), bytesField(2, Buffer.alloc(9, 1))),
        'span_id has 9 bytes, wanted 8',
      ],
      [message(bytesField(1, traceId), bytesField(2, Buffer.alloc(8))), 'span_id is all zero'],
      [message(...ids, bytesField(4, Buffer.alloc(3))), 'parent_span_id has 3 bytes, wanted 8'],
      [link(bytesField(2, spanId)), "link 0's trace_id has 0 bytes, wanted 16"],
      [
        link(bytesField(1, traceId), bytesField(2, traceId)),
        "link 0's span_id has 16 bytes, wanted 8",
      ],
    ];
    for (const [bad, text] of cases) {
      const tally = transcoder.tracesToRowBinary(requestOf(good, bad, bad), receipt);
      expect(tally.firstRejection).toMatch(`Cannot accept span 1: ${text} (byte `);
      expect({ accepted: tally.accepted, rejected: tally.rejected }).toEqual({
        accepted: 1,
        rejected: 2,
      });
    }
  });

  it('gives the offset of the rejected id', () => {
    const request = requestOf(message(bytesField(1, Buffer.from('needle'))));
    const byteOffset = Buffer.from(request).indexOf('needle');
    const { firstRejection } = transcoder.tracesToRowBinary(request, receipt);
    expect(firstRejection).toBe(
      `Cannot accept span 0: trace_id has 6 bytes, wanted 16 (byte ${byteOffset})`,
    );
  });

  it('takes an empty request and empty envelopes', () => {
    for (const request of [new Uint8Array(), bytesField(1, ''), bytesField(1, bytesField(2, ''))]) {
      const { accepted, rejected, rows } = transcoder.tracesToRowBinary(request, receipt);
      expect({ accepted, rejected, bytes: rows.length }).toEqual({
        accepted: 0,
        rejected: 0,
        bytes: 0,
      });
    }
  });

  it('refuses with CAPACITY what needs more memory than allowed, and goes on', () => {
    const small = new Transcoder(module, { pagesMax: 4 });
    const big = requestOf(
      message(
        bytesField(1, traceId),
        bytesField(2, spanId),
        bytesField(5, Buffer.alloc(300_000, 97)),
      ),
    );
    const one = requestOf(
      message(
        bytesField(1, traceId),
        bytesField(2, spanId),
        fixed64Field(7, 1_700_000_000_000_000_000n),
      ),
    );
    expect(() => small.tracesToRowBinary(big, receipt)).toThrowError(
      expect.objectContaining({ code: 'CAPACITY' }),
    );
    expect(small.tracesToRowBinary(one, receipt).rowCount).toBe(1);
  });
});

describe('digest()', () => {
  it('digest() is the hash of signal, tenant and request, whenever it was received', () => {
    const signals = ['traces', 'logs', 'metrics'] as const;
    const digests = signals.flatMap((signal, number) =>
      ['acme', 'a-longer-name-of-a-tenant'].map((tenantId) => {
        // A schema URL without items, in all signals alike, of a size that is no multiple of 16.
        const request = bytesField(1, bytesField(3, new Uint8Array(25).fill(0x78)));
        const digest = () => {
          transcoder.toRowBinary(signal, request, { ...receipt, tenantId });
          return transcoder.digest();
        };
        const named = murmur(Buffer.from(tenantId), [BigInt(number), 0n]);
        expect(digest()).toBe(hexOf(murmur(request, named)));
        transcoder.toRowBinary('traces', new Uint8Array(), { ...receipt, receivedMs: 7 });
        expect(digest()).toBe(hexOf(murmur(request, named)));
        return digest();
      }),
    );
    expect(new Set(digests).size).toBe(6);
  });
});

describe('rows in the ClickHouse engine', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'tidemark-rows-'));

  afterAll(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  it('equal the reference, cell by cell', () => {
    const generator = new Generator(seededRandom(20_261_122));
    const pieces: Buffer[] = [];
    const wanted: unknown[][] = [];
    for (let count = 0; count < 300; count++) {
      const request = generator.request();
      pieces.push(Buffer.from(transcoder.tracesToRowBinary(request, receipt).rows));
      const rows = expectSpans(request, receipt).spans.filter(({ quarantined }) => !quarantined);
      wanted.push(...rows.map((span) => jsonRowOf(span, receipt.tenantId, receivedMs)));
    }
    const file = path.join(directory, 'rows.bin');
    writeFileSync(file, Buffer.concat(pieces));
    expect(wanted.length).toBeGreaterThan(500);
    expect(loadRows(file)).toEqual(wanted);
  });
});
