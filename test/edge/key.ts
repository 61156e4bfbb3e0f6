/** API keys for tests: always the same for the same number. */
import { digest, hex, keyOf, keyRandomBytes } from '../../schemas/key.ts';
import type { KeyRecord } from '../../schemas/key.ts';

export interface TestKey {
  readonly id: string;
  readonly key: string;
  readonly record: KeyRecord;
}

/** A key of `tenant` that may send all signals; `fields` say what is different. */
export async function testKey(
  index: number,
  tenant: string,
  fields: Partial<KeyRecord> = {},
): Promise<TestKey> {
  const { id, key } = keyOf(new Uint8Array(keyRandomBytes).fill(index));
  const hash = hex(await digest(key));
  const signals: KeyRecord['signals'] = ['traces', 'metrics', 'logs'];
  const created = '2026-11-01T00:00:00.000Z';
  return { id, key, record: { version: 1, hash, tenant, signals, created, ...fields } };
}

/** The settings with which an edge takes these keys. */
export function keySettings(...keys: readonly TestKey[]): Record<string, string> {
  const records = Object.fromEntries(keys.map(({ id, record }) => [id, record]));
  return { TIDEMARK_AUTH: 'keys', TIDEMARK_KEYS: JSON.stringify(records) };
}
