/** What both sides of a fleet are given: the things they work between. Does nothing. */
import type { Settings } from '../../schemas/settings.ts';
import type { Kafka } from '../../workers/clients/kafka/kafka.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';

export interface FleetClock {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Resolves after `ms`, or at once when `signal` aborts; never rejects. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/** The part of a pino logger that the fleet uses. */
export interface FleetLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  debug(fields: object, message: string): void;
}

export interface FleetOptions {
  readonly kafka: Kafka;
  readonly store: ObjectStore;
  readonly settings: Settings;
  readonly clock: FleetClock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly log: FleetLog;
  /** Name of this coordinator or worker, for people: it stands in failures and starts. */
  readonly name: string;
}
