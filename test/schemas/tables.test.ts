import { describe, expect, it } from 'vitest';
import { otelTracesColumns, otelTracesInsert } from '../../schemas/tables.ts';

describe('otelTracesInsert', () => {
  it('names every column, quoted, in the order of the rows', () => {
    const names = [...otelTracesInsert.matchAll(/`([^`]+)`/g)].map((match) => match[1]);
    expect(names).toEqual([...otelTracesColumns]);
    expect(otelTracesInsert.startsWith('INSERT INTO otel_traces (')).toBe(true);
    expect(otelTracesInsert.endsWith(') FORMAT RowBinary')).toBe(true);
  });
});
