/**
 * Who computes the shards of a batch, as the settings say: nobody but this machine, or the workers of a fleet.
 * Connects to nothing by itself.
 */
import { hostname } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ShardRunner } from '../batch/pool/runner.ts';
import { SettingError } from '../schemas/errors.ts';
import type { Settings } from '../schemas/settings.ts';
import type { ObjectStore } from '../workers/clients/store/objects.ts';
import type { Context } from './context.ts';

/**
 * For `BatchOptions`: the fleet as `runner`, or nothing where it is off. Throws `SettingError` when it is on and
 * there is no Kafka.
 */
export async function runnerOf(
  context: Context,
  { settings, store, log }: { settings: Settings; store: ObjectStore; log: Logger },
): Promise<{ readonly runner?: ShardRunner }> {
  if (settings.TIDEMARK_BATCH_FLEET === 'off') return {};
  assertKafka(settings);
  const { openKafka } = await import('../workers/clients/kafka/kafka.ts');
  const { fleetRunner } = await import('../batch/fleet/coordinate.ts');
  const runner = fleetRunner({
    kafka: openKafka(settings, log),
    store,
    settings,
    clock: clockOf(context),
    random: () => Math.random(),
    log,
    name: nameOf(),
  });
  return { runner };
}

/** Throws `SettingError` where no brokers are named. */
export function assertKafka({ KAFKA_BROKERS }: Settings): void {
  if (KAFKA_BROKERS !== '') return;
  const message = 'Cannot use a fleet without KAFKA_BROKERS: its tasks go through a Kafka topic';
  throw new SettingError('KAFKA_BROKERS', message);
}

/** Time as the fleet's programs take it. */
export function clockOf({ now }: Context) {
  return {
    now,
    sleep: (ms: number, signal?: AbortSignal) =>
      pause(ms, undefined, signal && { signal }).catch(() => undefined),
  };
}

/** This process, for people. */
export function nameOf(): string {
  return `${hostname()}/${process.pid}`;
}
