/**
 * Names a batch by what its senders sent, for ClickHouse's own deduplication: a request that is
 * delivered twice has one name, though it is received twice. It never looks at rows, because they
 * carry the time of receipt.
 */

/** Hex digits of a token, and of the digest of one request. */
const tokenDigits = 32;

/**
 * A token of 32 hex digits: the digest of a batch that is one request; of a group, half of the
 * SHA-256 of its digests. ClickHouse keeps tokens by table, so the tables of a batch share one.
 */
export async function tokenOf(parts: readonly { readonly digest: string }[]): Promise<string> {
  const [first, ...others] = parts.map(({ digest }) => digest);
  if (first?.length === tokenDigits && others.length === 0) return first;
  const text = new TextEncoder().encode([first, ...others].join('\n'));
  return hex(await crypto.subtle.digest('SHA-256', text)).slice(0, tokenDigits);
}

function hex(bytes: ArrayBuffer): string {
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
