import { describe, expect, it } from 'vitest';
import {
  bodyHashBytes,
  decodeLogHeader,
  encodeLogPartial,
  logPreamble,
  type LogPartialGroup,
} from '../../../schemas/partials/logs.ts';
import { spanPreamble } from '../../../schemas/partials/spans.ts';
import { Preamble, preambleBytes } from '../../../schemas/partials/preamble.ts';

const corrupt = expect.objectContaining({ code: 'CORRUPT_ARCHIVE' });

function group(serviceName: string, more: Partial<LogPartialGroup> = {}): LogPartialGroup {
  return {
    tenantId: 't',
    serviceName,
    severityNumber: 9,
    severityText: 'INFO',
    hourMs: 3_600_000 * 490_000,
    rawCount: 3,
    count: 2,
    bodyBytes: 2n ** 40n,
    bodyHashes: new Uint8Array(2 * bodyHashBytes).fill(7),
    ...more,
  };
}

describe('encodeLogPartial()', () => {
  it('gives back what it was given, sorted, and where the hashes lie', () => {
    const none = { count: 0, bodyBytes: 0n, bodyHashes: new Uint8Array() };
    const groups = [
      group('b', { severityNumber: -(2 ** 31), severityText: 'ü b' }),
      group('a', { bodyHashes: new Uint8Array(bodyHashBytes).fill(9) }),
      group('', none),
    ];
    const bytes = encodeLogPartial(groups);
    const found = decodeLogHeader(bytes);
    expect(found.map(({ serviceName }) => serviceName)).toEqual(['', 'a', 'b']);
    for (const { hashesStart, uniqueBodies, ...rest } of found) {
      const wanted = groups.find(({ serviceName }) => serviceName === rest.serviceName);
      const bodyHashes = bytes.slice(hashesStart, hashesStart + uniqueBodies * bodyHashBytes);
      expect({ ...rest, bodyHashes }).toEqual(wanted);
    }
    expect(encodeLogPartial(groups.toReversed())).toEqual(bytes);
  });
});

describe('decodeLogHeader()', () => {
  it('refuses every truncation of the header, every changed byte, and other partials', () => {
    const bytes = encodeLogPartial([group('a'), group('b')]);
    const headerBytes = logPreamble.headerBytes(bytes);
    for (let end = 0; end < headerBytes; end += 1) {
      expect(() => decodeLogHeader(bytes.subarray(0, end))).toThrow(corrupt);
    }
    for (let at = 0; at < headerBytes; at += 1) {
      const damaged = bytes.slice();
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      expect(() => decodeLogHeader(damaged)).toThrow(corrupt);
    }
    expect(() => spanPreamble.headerBytes(bytes)).toThrow('it does not begin with TMKP');
    const newer = bytes.slice();
    new Preamble('TMKL', 2).write(newer, headerBytes, 2, 64);
    expect(() => decodeLogHeader(newer)).toThrow('it has version 2, wanted 1');
    expect(preambleBytes).toBeLessThan(headerBytes);
  });
});
