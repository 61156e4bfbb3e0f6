/** Checks the transcoding step with the real transcoder in workerd. */
import { describe, expect, it } from 'vitest';
import { transcodeWith } from '../../edge/transcode.ts';
import { nowMs, requestBytes, span, transcoder } from './stack.ts';

const receipt = { tenantId: 'acme', receivedMs: nowMs, pastMaxMs: 1e9, futureMaxMs: 1e9 };

describe('transcodeWith()', () => {
  it('transcodeWith() copies rows out, so that the next call leaves them alone', () => {
    const transcode = transcodeWith(transcoder);
    const first = transcode(requestBytes([span(0)]), receipt);
    const kept = Uint8Array.from(first.rows);
    const second = transcode(requestBytes([span(7), span(8), span(9)]), receipt);
    expect(first.rows).toEqual(kept);
    expect(second.rows.length).toBeGreaterThan(first.rows.length);
    expect([first.tally.accepted, second.tally.accepted]).toEqual([1, 3]);
    expect(first.rows.buffer.byteLength).toBe(first.rows.length);
  });

  it('transcodeWith() goes on after a request that cannot be decoded', () => {
    const transcode = transcodeWith(transcoder);
    const good = requestBytes([span(0)]);
    const before = transcode(good, receipt);
    expect(() => transcode(good.subarray(0, good.length - 1), receipt)).toThrow(
      expect.objectContaining({ code: 'BAD_OTLP' }),
    );
    expect(transcode(good, receipt)).toEqual(before);
  });
});
