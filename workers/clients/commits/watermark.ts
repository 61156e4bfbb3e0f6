/**
 * What the watermarks of a signal's partitions say together: how far all of it is archived, and who
 * holds it back. Pure; the watermarks themselves are read by `archive.ts`.
 */
import { silentPartitionMs } from '../../../schemas/limits/archive.ts';

/** What one partition of a signal vouches for. */
export interface Watermark {
  readonly topic: string;
  /** Kafka partition number, or `spool`. */
  readonly partition: string;
  /** Every record received before this time (ms since 1970) is committed; 0 when nothing is known. */
  readonly watermarkMs: number;
  /** When an archiver last wrote anything of it, ms since 1970. */
  readonly seenMs: number;
}

/**
 * Whether nobody reads a partition any more: no archiver has written anything of it for
 * `silentPartitionMs` (ms) while another partition of `all`, those of the same signal, went on. Such
 * a partition holds nothing back: its topic was deleted, or its Kafka is gone. While all stand still,
 * nobody is silent, so an archive that is down for weeks vouches for nothing.
 */
export function isSilent(
  partition: Watermark,
  all: readonly Watermark[],
  silentMs = silentPartitionMs,
): boolean {
  return partition.seenMs < Math.max(...all.map(({ seenMs }) => seenMs)) - silentMs;
}

/**
 * The time (ms since 1970) before which all that was received of a signal is committed: the least
 * watermark of its partitions that are not silent, 0 when there is none.
 */
export function leastWatermark(all: readonly Watermark[], silentMs = silentPartitionMs): number {
  const heard = all.filter((partition) => !isSilent(partition, all, silentMs));
  return heard.length === 0 ? 0 : Math.min(...heard.map(({ watermarkMs }) => watermarkMs));
}

/** The partitions that are not silent and vouch for less than `untilMs`, the furthest behind first. */
export function holdersBack<W extends Watermark>(
  all: readonly W[],
  untilMs: number,
  silentMs = silentPartitionMs,
): W[] {
  return all
    .filter((partition) => partition.watermarkMs < untilMs && !isSilent(partition, all, silentMs))
    .toSorted((a, b) => a.watermarkMs - b.watermarkMs);
}
