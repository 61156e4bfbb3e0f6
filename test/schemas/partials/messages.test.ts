import { describe, expect, it } from 'vitest';
import {
  compareSpans,
  decodeMessageHeader,
  endBytes,
  namedEndBytes,
  readEnd,
  readSpanName,
  type MessageEnd,
  type NamedEnd,
} from '../../../schemas/partials/messages.ts';
import { encodeMessages } from '../../support/messages.ts';

const end: MessageEnd = {
  durationNs: 2n ** 64n - 1n,
  tenant: 0,
  service: 1,
  peer: 2,
  peerKind: 3,
  isError: true,
  isOpen: false,
};
const named: NamedEnd = { ...end, traceHigh: 2n ** 63n, traceLow: 7n, span: 9n };
const link: NamedEnd = { ...named, peer: 4_000_000_000, peerKind: 0, isOpen: true };
const names = ['acme', 'größe', ''];

function encoded(): Uint8Array {
  return encodeMessages({ producers: [named], links: [link], consumers: [end] }, names);
}

describe('composeMessages()', () => {
  it('writes what its readers read', () => {
    const bytes = encoded();
    const header = decodeMessageHeader(bytes);
    expect(header).toMatchObject({ names, producers: 1, links: 1, consumers: 1 });
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const at = header.producersStart;
    expect({ ...readSpanName(view, at), ...readEnd(view, at + 24) }).toEqual(named);
    expect(header.linksStart).toBe(at + namedEndBytes);
    expect(readEnd(view, header.linksStart + 24)).toMatchObject({ peer: 4_000_000_000 });
    expect(readEnd(view, header.consumersStart)).toEqual(end);
    expect(header.consumersStart + endBytes).toBe(bytes.length);
  });
});

describe('decodeMessageHeader()', () => {
  it('refuses every truncation of the header, and every flipped byte of it', () => {
    const bytes = encoded();
    const headerBytes = decodeMessageHeader(bytes).producersStart;
    const corrupt = expect.objectContaining({ code: 'CORRUPT_ARCHIVE' });
    for (let at = 0; at < headerBytes; at += 1) {
      expect(() => decodeMessageHeader(bytes.subarray(0, at))).toThrow(corrupt);
      const flipped = Uint8Array.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      expect(() => decodeMessageHeader(flipped), `byte ${at}`).toThrow(corrupt);
    }
  });
});

describe('compareSpans()', () => {
  it('orders by trace id, then span id, as their bytes do', () => {
    const spans = [
      { traceHigh: 0n, traceLow: 2n ** 64n - 1n, span: 0n },
      { traceHigh: 1n, traceLow: 0n, span: 1n },
      { traceHigh: 1n, traceLow: 0n, span: 2n ** 63n },
    ];
    expect(spans.toReversed().toSorted(compareSpans)).toEqual(spans);
    expect(compareSpans(named, { ...named })).toBe(0);
  });
});
