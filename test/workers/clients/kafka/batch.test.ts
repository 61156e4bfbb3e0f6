/** What the library hands out, in our words; records that cannot be read are in unreadable.test.ts. */
import type { Batch } from 'kafkajs';
import { expect, it } from 'vitest';
import { fetchedFrom, toBatch } from '../../../../workers/clients/kafka/batch.ts';

const offset = 2n ** 53n + 1n;
const batch = {
  topic: 'otlp_logs',
  partition: 7,
  highWatermark: String(offset + 9n),
  fetchedOffset: String(offset - 1n),
  // Behind the last record there may be a marker, which is none.
  lastOffset: () => String(offset + 3n),
  messages: [
    {
      offset: String(offset),
      timestamp: '-1',
      key: null,
      value: Buffer.from('v'),
      headers: { once: Buffer.from('a'), twice: [Buffer.from('b'), Buffer.from('c')], none: [] },
      attributes: 0,
      size: 1,
    },
  ],
} as unknown as Batch;

it('toBatch() keeps offsets that numbers lose, and the last value of a header', () => {
  expect(toBatch(batch)).toEqual({
    topic: 'otlp_logs',
    partition: 7,
    nextOffset: offset + 4n,
    highWatermark: offset + 9n,
    records: [
      {
        offset,
        timestampMs: -1,
        key: null,
        value: Buffer.from('v'),
        headers: { once: Buffer.from('a'), twice: Buffer.from('c') },
      },
    ],
  });
});

it('fetchedFrom() is the offset that was asked for', () => {
  expect(fetchedFrom(batch)).toBe(offset - 1n);
});
