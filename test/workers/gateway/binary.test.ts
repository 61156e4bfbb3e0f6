import { describe, expect, it } from 'vitest';
import { KafkaError } from '../../../schemas/errors.ts';
import { binaryAnswer, readBinary } from '../../../workers/gateway/binary.ts';

describe('readBinary()', () => {
  it('reads keys, values and partitions; absent and null are the same, empty is not', () => {
    const body = {
      records: [{ key: 'aw==', value: 'dg==', partition: 2 }, { key: null }, { value: '' }],
      value_schema: null,
    };
    expect(readBinary(Buffer.from(JSON.stringify(body)), 5)).toEqual([
      { key: Buffer.from('k'), value: Buffer.from('v'), partition: 2, timestampMs: 5 },
      { key: null, value: null, timestampMs: 5 },
      { key: null, value: Buffer.of(), timestampMs: 5 },
    ]);
  });
});

describe('binaryAnswer()', () => {
  it('gives offsets past 2^32, and 1 or 2 for errors that stay or pass', () => {
    const outcomes = [
      { partition: 1, offset: 5_000_000_000n, timestampMs: 0 },
      new KafkaError('MESSAGE_TOO_LARGE', 'Cannot produce'),
      new KafkaError('CONNECTION', 'Cannot produce', { retryable: true }),
    ];
    expect(JSON.parse(binaryAnswer(outcomes))).toMatchObject({
      offsets: [
        { partition: 1, offset: 5_000_000_000, error_code: null },
        { partition: null, offset: null, error_code: 1, error: 'Cannot produce' },
        { error_code: 2 },
      ],
    });
  });
});
