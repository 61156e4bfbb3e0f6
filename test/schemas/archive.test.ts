import { describe, expect, it } from 'vitest';
import {
  archiveSpoolPrefix,
  fileKey,
  hourPrefix,
  logColumns,
  padOffset,
  parseFileKey,
  parseRecordKey,
  parseSpoolKey,
  pieceId,
  recordKey,
  spoolName,
  tenantPattern,
  traceColumns,
} from '../../schemas/archive.ts';
import { speedTables } from '../../schemas/tables.ts';

describe('hourPrefix()', () => {
  it('gives the Hive path of a UTC hour', () => {
    expect(hourPrefix('traces', Date.UTC(2026, 10, 22, 13))).toBe(
      'signal=traces/year=2026/month=11/day=22/hour=13/',
    );
    expect(hourPrefix('logs', Date.UTC(2024, 1, 29, 0))).toBe(
      'signal=logs/year=2024/month=02/day=29/hour=00/',
    );
  });
});

describe('fileKey()', () => {
  it('is read back by parseFileKey()', () => {
    const parts = { topic: 'otlp_spans', partition: 'spool', firstOffset: 42n, attempt: 'a1b2' };
    const key = fileKey('traces', Date.UTC(2026, 10, 22, 13), parts);
    expect(key).toBe(
      'signal=traces/year=2026/month=11/day=22/hour=13/' +
        'otlp_spans+spool+0000000000000000042+a1b2.parquet',
    );
    expect(parseFileKey(key)).toEqual(parts);
  });
});

describe('parseFileKey()', () => {
  it.each(['', 'x.parquet', 'a/b+c+1+d.parquet', 'a/b+c+0000000000000000001+d.orc'])(
    'gives undefined for %j',
    (key) => {
      expect(parseFileKey(key)).toBeUndefined();
    },
  );
});

describe('spoolName()', () => {
  const parts = { receivedMs: 1_763_812_800_123, requestId: 'a-1', tenantId: 'shop' };

  it('is read back by parseSpoolKey()', () => {
    expect(parseSpoolKey(archiveSpoolPrefix('otlp_spans') + spoolName(parts))).toEqual(parts);
  });

  it('sorts by receive time, also across a change of digits', () => {
    const early = spoolName({ ...parts, receivedMs: 999_999_999_999 });
    expect([spoolName(parts), early].toSorted()).toEqual([early, spoolName(parts)]);
  });
});

describe('parseSpoolKey()', () => {
  it.each(['spool/archive/otlp_spans/x', 'spool/1763812800123+a+../../x', '1763812800123+a+shop'])(
    'gives undefined for %j',
    (key) => {
      expect(parseSpoolKey(key)).toBeUndefined();
    },
  );
});

describe('padOffset()', () => {
  it('has room for every Kafka offset', () => {
    expect(padOffset(9_223_372_036_854_775_807n)).toBe('9223372036854775807');
    expect(padOffset(0n)).toHaveLength(19);
  });
});

describe('tenantPattern', () => {
  it.each(['default', 'a', 'team-1_x', 'x'.repeat(63)])('allows %j', (name) => {
    expect(tenantPattern.test(name)).toBe(true);
  });

  it.each(['', 'A', '-a', 'a/b', 'a+b', 'é', '..', 'x'.repeat(64)])('refuses %j', (name) => {
    expect(tenantPattern.test(name)).toBe(false);
  });
});

describe('traceColumns', () => {
  it('name each column once', () => {
    const names = traceColumns.map((column) => column.name);
    expect(new Set(names).size).toBe(names.length);
  });

  it('hold every column of otel_traces, so that one query fits both', () => {
    const names = new Set(traceColumns.map((column) => column.name));
    expect(speedTables.otel_traces.filter((name) => !names.has(name))).toEqual([]);
  });
});

describe('logColumns', () => {
  it('name each column once', () => {
    const names = logColumns.map((column) => column.name);
    expect(new Set(names).size).toBe(names.length);
  });

  it('hold every column of otel_logs, so that one query fits both', () => {
    const names = new Set(logColumns.map((column) => column.name));
    expect(speedTables.otel_logs.filter((name) => !names.has(name))).toEqual([]);
  });
});

describe('recordKey()', () => {
  it('is read back by parseRecordKey()', () => {
    const parts = { tenantId: 'acme_2', requestId: 'request-1' };
    expect(recordKey(parts)).toBe('acme_2/request-1');
    expect(parseRecordKey(recordKey(parts))).toEqual(parts);
  });

  it.each(['', 'acme', 'acme/', '/r1', 'Acme/r1', 'acme/r 1', 'acme/r1/x', `${'a'.repeat(64)}/r`])(
    'parseRecordKey() takes "%s" for none of ours',
    (key) => {
      expect(parseRecordKey(key)).toBeUndefined();
    },
  );

  it('pieces of the longest request id there is still have names in the spool', () => {
    const requestId = pieceId(crypto.randomUUID(), 123_456);
    const parts = { receivedMs: 1_795_000_000_000, requestId, tenantId: 'a'.repeat(63) };
    expect(parseSpoolKey(archiveSpoolPrefix('otlp_logs') + spoolName(parts))).toEqual(parts);
  });
});
