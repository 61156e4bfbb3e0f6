/**
 * API keys: their text, and the record that is kept of one. `tidemark key` makes both, the edge
 * reads them. A record holds the hash of a key, never the key.
 */
import * as z from 'zod/mini';
import { tenantPattern } from './archive.ts';
import { keyNoteCharsMax, keyOriginsMax } from './limits.ts';

/** Bytes of randomness in a key: its public id, and its secret. */
const idBytes = 8;
const secretBytes = 24;
export const keyRandomBytes = idBytes + secretBytes;

/** `tm_<id>_<secret>`, both in lower-case hex. The id is public and finds the record. */
export const keyPattern = /^tm_([0-9a-f]{16})_([0-9a-f]{48})$/;

/** What a key's id looks like. */
export const keyIdPattern = /^[0-9a-f]{16}$/;

/** Requests a second: how often a key may send. `none` is no limit. */
export const rateClasses = ['low', 'standard', 'high', 'none'] as const;
export type RateClass = (typeof rateClasses)[number];

const record = z.strictObject({
  version: z.literal(1),
  /** SHA-256 of the whole key's text, lower-case hex. Fast is right here: keys are random. */
  hash: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  tenant: z.string().check(z.regex(tenantPattern)),
  /** What the key may send. */
  signals: z.array(z.enum(['traces', 'metrics', 'logs'])),
  /** Whether the key may read the edge's own metrics. */
  metrics: z.optional(z.boolean()),
  /** Whether the key may read its tenant's data through the API. */
  read: z.optional(z.boolean()),
  /** A public key for browsers: only requests from these origins are taken with it. */
  origins: z.optional(
    z
      .array(z.string().check(z.regex(/^[a-z][a-z0-9+.-]*:\/\/[^\s/]+$/)))
      .check(z.minLength(1), z.maxLength(keyOriginsMax)),
  ),
  /** Limits of this key alone, in place of those that it shares with its tenant's other keys. */
  rate: z.optional(z.enum(rateClasses)),
  bytesPerMinute: z.optional(z.int().check(z.positive())),
  itemsPerMinute: z.optional(z.int().check(z.positive())),
  created: z.iso.datetime(),
  expires: z.optional(z.iso.datetime()),
  revoked: z.optional(z.iso.datetime()),
  note: z.optional(z.string().check(z.maxLength(keyNoteCharsMax))),
});

/** What is kept of a key. Times are ISO 8601, UTC. */
export type KeyRecord = z.infer<typeof record>;

/** The record that `value` is, or undefined when it is none. */
export function toKeyRecord(value: unknown): KeyRecord | undefined {
  return record.safeParse(value).data;
}

/** The name of a key's record in Workers KV. */
export function recordName(id: string): string {
  return `${recordPrefix}${id}`;
}

export const recordPrefix = 'key:';

/** A new key out of `keyRandomBytes` random bytes. */
export function keyOf(random: Uint8Array): { readonly id: string; readonly key: string } {
  const id = hex(random.subarray(0, idBytes));
  return { id, key: `tm_${id}_${hex(random.subarray(idBytes, keyRandomBytes))}` };
}

/** SHA-256 of a key's text. */
export async function digest(key: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(key)));
}

/** Bytes as lower-case hex. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
