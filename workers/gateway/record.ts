/** What passes between the gateway's steps: records on their way to Kafka and what became of them. */
import type { TidemarkError } from '../../schemas/errors.ts';
import type { OutgoingRecord } from '../clients/kafka/kafka.ts';

/** A record of a request. */
export interface GatewayRecord extends OutgoingRecord {
  /** The partition that the sender asks for; without it the key decides. */
  readonly partition?: number;
}

/** A record that all in-sync replicas have. */
export interface Stored {
  readonly partition: number;
  readonly offset: bigint;
  /** Time in the log, ms since 1970. */
  readonly timestampMs: number;
}

/** An error means: not stored, or not known to be. */
export type Outcome = Stored | TidemarkError;

/** Memory that one request holds of the gateway's budget. */
export interface Reservation {
  /** Takes more; false when the budget is spent, and then nothing was taken. */
  grow(bytes: number): boolean;
  /** Gives some back. */
  shrink(bytes: number): void;
}
