/** Checks the transcoding step with the real transcoder in workerd. */
import { describe, expect, it } from 'vitest';
import { transcodeWith } from '../../edge/transcode.ts';
import { nowMs, requestBytes, span, transcoder } from './stack.ts';

const receipt = { tenantId: 'acme', receivedMs: nowMs, pastMaxMs: 1e9, futureMaxMs: 1e9 };

describe('transcodeWith()', () => {
  it('transcodeWith() copies rows out, so that the next call leaves them alone', () => {
    const transcode = transcodeWith(transcoder);
    const first = transcode('traces', requestBytes([span(0)]), receipt);
    const [rows] = first.tables.map((table) => table.rows);
    const kept = Uint8Array.from(rows ?? []);
    const second = transcode('traces', requestBytes([span(7), span(8), span(9)]), receipt);
    expect(rows).toEqual(kept);
    expect(second.tables[0]?.rows.length).toBeGreaterThan(kept.length);
    expect([first.tally.accepted, second.tally.accepted]).toEqual([1, 3]);
    expect(rows?.buffer.byteLength).toBe(kept.length);
  });

  it('transcodeWith() goes on after a request that cannot be decoded', () => {
    const transcode = transcodeWith(transcoder);
    const good = requestBytes([span(0)]);
    const before = transcode('traces', good, receipt);
    expect(() => transcode('traces', good.subarray(0, good.length - 1), receipt)).toThrow(
      expect.objectContaining({ code: 'BAD_OTLP' }),
    );
    expect(transcode('traces', good, receipt)).toEqual(before);
  });
});
