import { describe, expect, it } from 'vitest';
import { KafkaError, RestError } from '../../../schemas/errors.ts';
import { errorReport, readRecord, reportOf } from '../../../workers/gateway/report.ts';

const read = (record: object) => readRecord(Buffer.from(JSON.stringify(record)), 5);
const context = { clusterId: 'c', topic: 't' };

describe('readRecord()', () => {
  it('reads every field', () => {
    const { record } = read({
      partition_id: 3,
      key: { type: 'STRING', data: 'ü' },
      value: { type: 'BINARY', data: 'AP8=' },
      headers: [
        { name: 'a', value: 'MQ==' },
        { name: 'b', value: '' },
        { name: 'a', value: 'Mg==' },
      ],
      timestamp: '1970-01-01T00:00:01.5Z',
    });
    expect(record).toEqual({
      partition: 3,
      key: Buffer.from('ü'),
      value: Buffer.from([0, 255]),
      headers: { a: [Buffer.from('1'), Buffer.from('2')], b: [Buffer.of()] },
      timestampMs: 1500,
    });
  });

  it('takes an empty record, and null data', () => {
    expect(read({}).record).toMatchObject({ key: null, value: null, timestampMs: 5 });
    expect(read({ value: { type: 'BINARY', data: null } }).record.value).toBeNull();
  });

  it.each([
    [{ value: 'x' }],
    [{ value: { data: 'AA==' } }],
    [{ value: { type: 'BINARY', data: 7 } }],
    [{ value: { type: 'BINARY', data: 'A' } }],
    [{ partition_id: 1.5 }],
    [{ headers: {} }],
    [{ headers: [null] }],
    [{ headers: [{ name: 'a', value: 'not base64' }] }],
    [{ timestamp: 'yesterday' }],
    [{ timestamp: 1500 }],
  ])('refuses %j with 422', (record) => {
    expect(() => read(record)).toThrow(expect.objectContaining({ status: 422 }) as Error);
  });
});

describe('reportOf()', () => {
  it('leaves out key and value that were not sent', () => {
    const report = reportOf(read({}), { partition: 1, offset: 2n, timestampMs: 0 }, context);
    expect(JSON.parse(report)).toEqual({
      error_code: 200,
      cluster_id: 'c',
      topic_name: 't',
      partition_id: 1,
      offset: 2,
      timestamp: '1970-01-01T00:00:00.000Z',
    });
  });
});

describe('errorReport()', () => {
  it.each([
    [new RestError(404, 40_402, 'Partition 9 not found'), 40_402],
    [new KafkaError('MESSAGE_TOO_LARGE', 'Cannot produce'), 413],
    [new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', 'Cannot produce', { retryable: true }), 40_403],
    [new KafkaError('TOPIC_AUTHORIZATION_FAILED', 'Cannot produce'), 40_301],
    [new KafkaError('CONNECTION', 'Cannot produce', { retryable: true }), 50_003],
    [new KafkaError('INVALID_RECORD', 'Cannot produce'), 50_002],
  ])('%s', (error, code) => {
    const report: unknown = JSON.parse(errorReport(error));
    expect(report).toEqual({ error_code: code, message: error.message });
  });
});
