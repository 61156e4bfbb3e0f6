/**
 * The lease: who leads, as a row of small immutable objects of which the newest counts. Each has a number
 * that a conditional write gives to one writer only, so it needs no more of a store than commits do.
 */
import { z } from 'zod';
import { TidemarkError } from './errors.ts';

const lease = z.strictObject({
  version: z.literal(1),
  /** Of this object: one more with each renewal, whoever holds the lease. */
  sequence: z.int().positive(),
  /** Of the leadership: one more each time that another takes over, or the same again after a stop. */
  term: z.int().positive(),
  /** Unique to the process. */
  holder: z.string().min(1),
  /** What people know the holder by, such as its host and process. */
  name: z.string(),
  /** How long after it was stored it counts, unless it is renewed. */
  leaseMs: z.int().positive(),
  /** The holder has stopped: anyone may take over at once. */
  released: z.boolean(),
  /** By the holder's clock; for people. */
  writtenAt: z.iso.datetime(),
});

export type LeaseRecord = z.infer<typeof lease>;

/** Sequences go up to this, ten thousand years of a renewal a second. */
const sequenceMax = 10 ** 12;

/** Prefix of the objects of one lease. */
export function leasePrefix(name: string): string {
  return `_leases/${name}/`;
}

/** Keys count down, so that the newest is the first of a listing. */
export function leaseKey(name: string, sequence: number): string {
  return `${leasePrefix(name)}${String(sequenceMax - sequence).padStart(13, '0')}.json`;
}

/** Throws `TidemarkError` CORRUPT_ARCHIVE for what is no lease. */
export function parseLease(key: string, text: string): LeaseRecord {
  try {
    return lease.parse(JSON.parse(text));
  } catch (cause) {
    throw new TidemarkError('CORRUPT_ARCHIVE', `Cannot read lease "${key}"`, { cause });
  }
}
