/** Checks bodies that are sent in pieces, with workerd's own streams. */
import { describe, expect, it } from 'vitest';
import { streamed } from '../../edge/stream.ts';
import { streamedBodyBytesMin, streamedPieceBytes } from '../../schemas/limits.ts';

function numbered(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_value, index) => (index * 31 + (index >> 8)) & 255);
}

describe('streamed()', () => {
  it('streamed() gives small bodies as they are', () => {
    const bytes = numbered(streamedBodyBytesMin - 1);
    expect(streamed(bytes)).toBe(bytes);
  });

  it.each([
    streamedBodyBytesMin,
    streamedBodyBytesMin + 1,
    3 * streamedBodyBytesMin - 1,
    3 * streamedBodyBytesMin + streamedPieceBytes,
  ])('streamed() gives %d bytes in pieces, all of them in order', async (length) => {
    const bytes = numbered(length);
    const body = streamed(bytes.subarray());
    expect(body).toBeInstanceOf(ReadableStream);
    const got = new Uint8Array(await new Response(body).arrayBuffer());
    expect(got.length).toBe(length);
    expect(got.every((byte, index) => byte === bytes[index])).toBe(true);
  });

  it('streamed() stops when it is not wanted any more', async () => {
    const body = streamed(numbered(streamedBodyBytesMin));
    if (!(body instanceof ReadableStream)) throw new Error('no stream');
    const reader: ReadableStreamDefaultReader<Uint8Array> = body.getReader();
    expect((await reader.read()).value?.length).toBeGreaterThan(0);
    await reader.cancel();
    expect((await reader.read()).done).toBe(true);
  });
});
