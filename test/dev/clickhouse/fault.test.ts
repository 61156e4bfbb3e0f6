/** ClickHouse's codes as HTTP statuses, and the engine's errors as ClickHouse words them. */
import { describe, expect, it } from 'vitest';
import { engineFault, fault, statusOfCode } from '../../../dev/clickhouse/fault.ts';

describe('statusOfCode()', () => {
  it('is what exceptionCodeToHTTPStatus says', () => {
    const statuses = { 60: 404, 81: 404, 62: 400, 27: 400, 516: 403, 194: 401, 48: 501 };
    for (const [code, status] of Object.entries(statuses)) {
      expect(statusOfCode(Number(code)), code).toBe(status);
    }
    expect(statusOfCode(33)).toBe(500);
    expect(statusOfCode(252)).toBe(500);
  });
});

describe('fault()', () => {
  it('is worded as an exception of ClickHouse', () => {
    expect(fault(62, 'SYNTAX_ERROR', 'Empty query')).toMatchObject({
      clickhouseCode: 62,
      message: 'Code: 62. DB::Exception: Empty query. (SYNTAX_ERROR)',
    });
  });
});

describe('engineFault()', () => {
  it('takes the code from the text and unwraps repeated messages', () => {
    const text =
      'Code: 73. DB::Exception: Code: 73. DB::Exception: Unknown format Nope. (UNKNOWN_FORMAT)' +
      ' (version 26.7.2.1). (UNKNOWN_FORMAT)';
    expect(engineFault(new Error(text), '/data')).toMatchObject({
      clickhouseCode: 73,
      message: 'Code: 73. DB::Exception: Unknown format Nope. (UNKNOWN_FORMAT)',
    });
  });

  it('gives an error without a code STD_EXCEPTION', () => {
    expect(engineFault(new Error('gone'), '/data')).toMatchObject({
      clickhouseCode: 1001,
      message: 'Code: 1001. DB::Exception: gone. (STD_EXCEPTION)',
    });
  });

  it('names no file of the front', () => {
    const text =
      'Code: 33. DB::Exception: Cannot read: (at row 2)\n: (in file/uri /data/1): While x.';
    expect(engineFault(new Error(text), '/data').message).not.toContain('/data');
  });
});
