/** What the archiver's log advises about faults. */
import { expect, it } from 'vitest';
import { errorCodes, KafkaError, TidemarkError } from '../../../schemas/errors.ts';
import { hintOf } from '../../../workers/watch/hint.ts';

it.each<[TidemarkError, RegExp]>([
  [new TidemarkError('OBJECT_STORE', 'Cannot write', { retryable: true }), /S3_ENDPOINT/],
  [new TidemarkError('OBJECT_STORE', 'Cannot write'), /rights to read, write, list and delete/],
  [new TidemarkError('CORRUPT_ARCHIVE', 'Cannot read'), /restore it/],
  [new KafkaError('OFFSET_OUT_OF_RANGE', 'Cannot go on'), /made anew/],
  [new KafkaError('CONNECTION', 'Cannot connect'), /KAFKA_BROKERS/],
  [new KafkaError('SASL_AUTHENTICATION_FAILED', 'Cannot log in'), /KAFKA_SASL_PASSWORD/],
])('hintOf() %s', (error, expected) => {
  expect(hintOf(error)).toMatch(expected);
});

it('hintOf() has an answer to every code', () => {
  for (const code of errorCodes) {
    expect(hintOf(new TidemarkError(code, 'Cannot'))).toMatch(/^\w.*[^.]$/);
  }
});
