/**
 * Names a batch by what its senders sent, for ClickHouse's own deduplication: a request that is
 * delivered twice has one name, though it is received twice. It never looks at rows, because they
 * carry the time of receipt.
 */

/** What the name is made from: the parts of a batch. */
export interface TokenPart {
  readonly parts: { readonly tenantId: string };
  readonly otlp: Uint8Array;
}

/**
 * A token of 32 hex digits: 128 bits of SHA-256 over the signal and, in order, tenant and OTLP of
 * every part. ClickHouse keeps tokens by table, so the tables of a batch share one.
 */
export async function tokenOf(signal: string, parts: readonly TokenPart[]): Promise<string> {
  const digests = await Promise.all(
    parts.map(async ({ parts: { tenantId }, otlp }) => `${tenantId}:${hex(await sha256(otlp))}`),
  );
  const whole = new TextEncoder().encode([signal, ...digests].join('\n'));
  return hex(await sha256(whole)).slice(0, 32);
}

async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
