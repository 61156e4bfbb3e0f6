/** Checks the transcoding step with the real transcoder in workerd. */
import * as zlib from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { copyOf } from '../../edge/lend.ts';
import { transcodeWith } from '../../edge/transcode.ts';
import type { Transcoded } from '../../edge/transcode.ts';
import { placedBytesMax } from '../../schemas/limits.ts';
import { Ledger } from '../../edge/lease.ts';
import { nowMs, requestBytes, span, transcoder } from './stack.ts';

const receipt = { tenantId: 'acme', receivedMs: nowMs, pastMaxMs: 1e9, futureMaxMs: 1e9 };

function newLease(bytesMax = 1 << 24) {
  return new Ledger(bytesMax, () => 0).lease();
}

function rowsOf({ tables }: Transcoded): Uint8Array[] {
  return tables.map(({ rows }) => copyOf(rows));
}

describe('transcodeWith()', () => {
  it('transcodeWith() makes the same rows again when the next call has used its memory', () => {
    const { transcode } = transcodeWith(transcoder, 1 << 24, 100);
    const first = transcode('traces', requestBytes([span(0)]), receipt, newLease());
    const [kept] = rowsOf(first);
    const later = { ...receipt, receivedMs: nowMs + 5000 };
    const three = requestBytes([span(7), span(8), span(9)]);
    const second = transcode('traces', three, later, newLease());
    const [others] = rowsOf(second);
    expect(others?.length).toBeGreaterThan(2 * (kept?.length ?? 0));
    expect([first.tally.accepted, second.tally.accepted]).toEqual([1, 3]);
    // In turns, and twice each.
    for (let turn = 0; turn < 2; turn += 1) {
      expect(rowsOf(first)).toEqual([kept]);
      expect(rowsOf(first)).toEqual([kept]);
      expect(rowsOf(second)).toEqual([others]);
    }
  });

  it('transcodeWith() goes on after a request that cannot be decoded', () => {
    const { transcode } = transcodeWith(transcoder, 1 << 24, 100);
    const good = requestBytes([span(0)]);
    const before = transcode('traces', good, receipt, newLease());
    const rows = rowsOf(before);
    expect(() =>
      transcode('traces', good.subarray(0, good.length - 1), receipt, newLease()),
    ).toThrow(expect.objectContaining({ code: 'BAD_OTLP' }));
    const after = transcode('traces', good, receipt, newLease());
    expect([after.tally, after.digest, rowsOf(after)]).toEqual([before.tally, before.digest, rows]);
  });

  it('transcodeWith() takes the rows from the lease, since the runtime copies them', () => {
    const { transcode } = transcodeWith(transcoder, 1 << 24, 100);
    const ledger = new Ledger(2000, () => 0);
    ledger.lease().take(1000);
    const lease = ledger.lease();
    const [rows] = rowsOf(transcode('traces', requestBytes([span(0)]), receipt, lease));
    expect(ledger.bytes).toBe(1000 + (rows?.length ?? 0));
    const many = requestBytes(Array.from({ length: 100 }, (_value, index) => span(index)));
    expect(() => transcode('traces', many, receipt, ledger.lease())).toThrow(
      expect.objectContaining({ code: 'OVERLOADED', retryable: true }),
    );
  });

  it('transcodeWith() keeps to its memory: what needs more is CAPACITY, and names the bound', () => {
    const { transcode } = transcodeWith(transcoder, 2 << 20, 100);
    const name = 'n'.repeat(1000);
    const most = Array.from({ length: 1500 }, (_value, index) => span(index, { name }));
    expect(() => transcode('traces', requestBytes(most), receipt, newLease())).toThrow(
      expect.objectContaining({ code: 'CAPACITY', message: expect.stringContaining('2 MiB') }),
    );
    const few = requestBytes([span(0)]);
    expect(transcode('traces', few, receipt, newLease()).tally.accepted).toBe(1);
  });

  it('transcodeWith() transcodes a gzip body where it was inflated, and has it again later', () => {
    const { inflate, transcode } = transcodeWith(transcoder, 1 << 24, 100);
    const plain = [requestBytes([span(0)]), requestBytes([span(7), span(8), span(9)])];
    const wanted = plain.map((bytes) => transcode('traces', bytes, receipt, newLease()));
    const rows = wanted.map(rowsOf);
    const made = plain.map((bytes) => {
      const body = inflate(new Uint8Array(zlib.gzipSync(bytes)), 1e6);
      if (body === undefined) throw new Error('the usual body was not taken');
      expect(copyOf(body)).toEqual(bytes);
      return { body, ...transcode('traces', body, receipt, newLease()) };
    });
    expect(made.map(({ digest }) => digest)).toEqual(wanted.map(({ digest }) => digest));
    // In turns, with another body in their place, and when rows grow past the memory.
    for (let turn = 0; turn < 2; turn += 1) {
      expect(made.map(({ body }) => copyOf(body))).toEqual(plain);
      expect(made.map(rowsOf)).toEqual(rows);
      inflate(new Uint8Array(zlib.gzipSync(new Uint8Array(200_000))), 1e6);
    }
  });

  it('transcodeWith() leaves bodies to others that are damaged, unusual or too large', () => {
    const { inflate } = transcodeWith(transcoder, 1 << 24, 100);
    const gzip = new Uint8Array(zlib.gzipSync(requestBytes([span(0)])));
    const wrong = gzip.slice();
    wrong[wrong.length - 8] = (wrong.at(-8) ?? 0) ^ 1;
    const twice = new Uint8Array([...gzip, ...gzip]);
    const named = gzip.slice();
    named[3] = 8;
    for (const body of [wrong, twice, named, gzip.subarray(0, 17), new Uint8Array(0)]) {
      expect(inflate(body, 1e6)).toBeUndefined();
    }
    expect(inflate(gzip, 10)).toBeUndefined();
    const large = new Uint8Array(zlib.gzipSync(new Uint8Array(placedBytesMax + 1)));
    expect(inflate(large, 1e9)).toBeUndefined();
    expect(inflate(gzip, 1e6)).toBeDefined();
  });
});
