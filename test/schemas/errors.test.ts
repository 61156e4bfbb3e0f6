import { describe, expect, it } from 'vitest';
import {
  ClickHouseError,
  ConflictError,
  DecodeError,
  SettingError,
  TidemarkError,
  errorCodes,
} from '../../schemas/errors.ts';

describe('TidemarkError', () => {
  it.each(errorCodes)('carries code %s, is final by default and keeps its cause', (code) => {
    const cause = new Error('below');
    const error = new TidemarkError(code, 'Cannot do it', { cause });
    expect(error).toMatchObject({ code, retryable: false, cause, message: 'Cannot do it' });
  });

  it('has no cause where none was given', () => {
    expect('cause' in new TidemarkError('CAPACITY', 'Cannot do it')).toBe(false);
  });
});

describe('its classes', () => {
  it.each([
    [new DecodeError('Cannot decode', 7), 'BAD_OTLP', 'DecodeError'],
    [new SettingError('X', 'Cannot use X'), 'BAD_SETTING', 'SettingError'],
    [new ConflictError('a/b'), 'CONFLICT', 'ConflictError'],
    [new ClickHouseError(60, 'Cannot query'), 'CLICKHOUSE', 'ClickHouseError'],
  ])('%s is recognised by code and by name', (error, code, name) => {
    expect(error).toBeInstanceOf(TidemarkError);
    expect(error).toMatchObject({ code, name });
  });
});
