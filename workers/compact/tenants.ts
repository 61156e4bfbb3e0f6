/** Whose the rows of a batch are, by the dictionary of its tenants: no string is made for a row. */
import { isKept, type TenantFilter } from '../../schemas/retention.ts';
import type { ArrowBuffers, ArrowRows } from './arrow.ts';
import { columnOf } from './keys.ts';
import type { Filter } from './merge.ts';

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** The dictionary's values, by code. */
export function tenantNames(rows: ArrowRows, key: string): string[] {
  const values = columnOf(rows, 'TenantId', key).dictionary;
  const at = (index: number) => values?.offsets?.[index] ?? 0;
  return Array.from({ length: values?.length ?? 0 }, (_, index) =>
    utf8.decode(values?.data.subarray(at(index), at(index + 1))),
  );
}

/** Rows by tenant. */
export function countTenants(rows: ArrowRows, key: string): Map<string, number> {
  const names = tenantNames(rows, key);
  const counts = new Uint32Array(names.length);
  for (const code of codesOf(columnOf(rows, 'TenantId', key))) {
    counts[code] = (counts[code] ?? 0) + 1;
  }
  const own = new Map<string, number>();
  for (const [code, name] of names.entries()) {
    const count = counts[code] ?? 0;
    if (count > 0) own.set(name, (own.get(name) ?? 0) + count);
  }
  return own;
}

/** Marks the rows of tenants whose rows stay. */
export function keepTenants(filter: TenantFilter): Filter {
  return (rows, key) => {
    const byCode = Uint8Array.from(tenantNames(rows, key), (name) => Number(isKept(filter, name)));
    if (byCode.every((stay) => stay === 1)) return undefined;
    const codes = codesOf(columnOf(rows, 'TenantId', key));
    return Uint8Array.from(codes, (code) => byCode[code] ?? 0);
  };
}

function codesOf({ data, length }: ArrowBuffers): Int32Array {
  return new Int32Array(data.buffer, data.byteOffset, length);
}
