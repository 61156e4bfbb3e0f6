/** Checks the transcoding step with the real transcoder in workerd. */
import { describe, expect, it } from 'vitest';
import { transcodeWith } from '../../edge/transcode.ts';
import { Ledger } from '../../edge/lease.ts';
import { nowMs, requestBytes, span, transcoder } from './stack.ts';

const receipt = { tenantId: 'acme', receivedMs: nowMs, pastMaxMs: 1e9, futureMaxMs: 1e9 };

function newLease(bytesMax = 1 << 24) {
  return new Ledger(bytesMax, () => 0).lease();
}

describe('transcodeWith()', () => {
  it('transcodeWith() copies rows out, so that the next call leaves them alone', () => {
    const transcode = transcodeWith(transcoder, 1 << 24, 100);
    const first = transcode('traces', requestBytes([span(0)]), receipt, newLease());
    const [rows] = first.tables.map((table) => table.rows);
    const kept = Uint8Array.from(rows ?? []);
    const second = transcode(
      'traces',
      requestBytes([span(7), span(8), span(9)]),
      receipt,
      newLease(),
    );
    expect(rows).toEqual(kept);
    expect(second.tables[0]?.rows.length).toBeGreaterThan(kept.length);
    expect([first.tally.accepted, second.tally.accepted]).toEqual([1, 3]);
    expect(rows?.buffer.byteLength).toBe(kept.length);
  });

  it('transcodeWith() goes on after a request that cannot be decoded', () => {
    const transcode = transcodeWith(transcoder, 1 << 24, 100);
    const good = requestBytes([span(0)]);
    const before = transcode('traces', good, receipt, newLease());
    expect(() =>
      transcode('traces', good.subarray(0, good.length - 1), receipt, newLease()),
    ).toThrow(expect.objectContaining({ code: 'BAD_OTLP' }));
    expect(transcode('traces', good, receipt, newLease())).toEqual(before);
  });

  it('transcodeWith() takes the rows from the lease before it copies them', () => {
    const transcode = transcodeWith(transcoder, 1 << 24, 100);
    const ledger = new Ledger(2000, () => 0);
    ledger.lease().take(1000);
    const lease = ledger.lease();
    const { tables } = transcode('traces', requestBytes([span(0)]), receipt, lease);
    expect(ledger.bytes).toBe(1000 + (tables[0]?.rows.length ?? 0));
    const many = requestBytes(Array.from({ length: 100 }, (_value, index) => span(index)));
    expect(() => transcode('traces', many, receipt, ledger.lease())).toThrow(
      expect.objectContaining({ code: 'OVERLOADED', retryable: true }),
    );
  });

  it('transcodeWith() keeps to its memory: what needs more is CAPACITY, and names the bound', () => {
    const transcode = transcodeWith(transcoder, 2 << 20, 100);
    const name = 'n'.repeat(1000);
    const most = Array.from({ length: 1500 }, (_value, index) => span(index, { name }));
    expect(() => transcode('traces', requestBytes(most), receipt, newLease())).toThrow(
      expect.objectContaining({ code: 'CAPACITY', message: expect.stringContaining('2 MiB') }),
    );
    const few = requestBytes([span(0)]);
    expect(transcode('traces', few, receipt, newLease()).tally.accepted).toBe(1);
  });
});
