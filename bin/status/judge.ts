/**
 * Decides what the state of partitions and periods means: who is behind and why, which periods are
 * final, and what is worth an alert. Pure: it reads nothing.
 */
import { topics } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import { backlogAgeMs, standstillMs, statusDelayMs } from '../../schemas/limits/archive.ts';
import type { PartitionState } from '../../workers/clients/commits/archive.ts';
import type { PartitionEnds } from '../../workers/clients/kafka/lag.ts';
import type {
  PeriodState,
  SpoolState,
  UnreadablePartition,
} from '../../workers/clients/commits/status.ts';
import { holdersBack, isSilent, leastWatermark } from '../../workers/clients/commits/watermark.ts';
import type { Watermark } from '../../workers/clients/commits/watermark.ts';

/**
 * - `current`: archived as it comes.
 * - `behind`: being archived, but older records wait.
 * - `unread`: nothing of it was ever archived.
 * - `stopped`: no archiver has written anything of it for a while.
 * - `missing`: archived once, and not in Kafka now.
 * - `silent`: nobody reads it any more; it holds no period back.
 * - `unreadable`: its newest commit or watermark is damaged, so nothing is known of it.
 */
export type Condition =
  'current' | 'behind' | 'unread' | 'stopped' | 'missing' | 'silent' | 'unreadable';

export interface PartitionReport extends Watermark {
  readonly condition: Condition;
  readonly nextOffset: string;
  /** Where Kafka's partition ends; `undefined` when that is not known. */
  readonly endOffset: string | undefined;
  /** Records, or spool objects, that are not archived yet; `undefined` when that is not known. */
  readonly lagRecords: number | undefined;
  /** What the oldest of them may be as old as; 0 when none waits. */
  readonly lagSeconds: number | undefined;
  /** Records that Kafka deleted before they were archived. */
  readonly lostRecords: number;
  /** Of the newest commit. */
  readonly headOffset: string | undefined;
  readonly committedAt: string | undefined;
  readonly commitRows: number | undefined;
  readonly writer: string | undefined;
  /** How long its records may wait for company before they are archived, ms. */
  readonly flushAgeMs: number;
}

export interface Sources {
  /** How long records of a partition (its number, or `spool`) may wait for company, ms. */
  readonly flushAgeMs: (partition: string) => number;
  readonly partitions: readonly PartitionState[];
  readonly unreadable: readonly UnreadablePartition[];
  readonly spools: readonly SpoolState[];
  /** What Kafka has; `undefined` when there is none, or none to be reached. */
  readonly ends: readonly PartitionEnds[] | undefined;
  /** Ms since 1970. */
  readonly nowMs: number;
}

/** Every partition that the archive or Kafka knows, by topic, the spool last. */
export function judgePartitions(sources: Sources): PartitionReport[] {
  return Object.values(topics).flatMap((topic) => {
    const known = [
      ...sources.partitions.filter((partition) => partition.topic === topic),
      ...sources.unreadable
        .filter((partition) => partition.topic === topic)
        .map(({ partition }) => neverSeen(topic, partition, sources.nowMs)),
    ];
    const waiting = sources.spools.filter(({ objects }) => objects > 0);
    const unknown = [
      ...(sources.ends ?? []),
      ...waiting.map((spool) => ({ topic: spool.topic, partition: 'spool' })),
    ]
      .filter((other) => other.topic === topic)
      .filter(({ partition }) => known.every((other) => other.partition !== partition))
      .map(({ partition }) => neverSeen(topic, partition, sources.nowMs));
    const all = [...known, ...unknown].toSorted(byPartition);
    return all.map((partition) => judgePartition(partition, all, sources));
  });
}

/** A partition of which the archive says nothing: it holds back as if it did. */
function neverSeen(topic: string, partition: string, seenMs: number): PartitionState {
  return { topic, partition, watermarkMs: 0, seenMs, nextOffset: '0', head: undefined };
}

function judgePartition(
  state: PartitionState,
  all: readonly PartitionState[],
  { unreadable, spools, ends, nowMs, flushAgeMs }: Sources,
): PartitionReport {
  const { topic, partition, nextOffset, watermarkMs, seenMs, head } = state;
  const isOwn = (other: { readonly topic: string; readonly partition: string }) =>
    other.topic === topic && other.partition === partition;
  const isUnreadable = unreadable.some(isOwn);
  const own = ends?.find(isOwn);
  const spool = spools.find((other) => other.topic === topic);
  const lagRecords =
    partition === 'spool' ? spool?.objects : lagOf(nextOffset, isUnreadable ? undefined : own);
  const ageMs = flushAgeMs(partition);
  const isMissing = isGone(partition, own, ends);
  const condition = isUnreadable
    ? 'unreadable'
    : conditionOf(state, all, { isMissing, nowMs: nowMs - ageMs });
  return {
    topic,
    partition,
    watermarkMs,
    seenMs,
    condition,
    nextOffset,
    endOffset: own && String(own.endOffset),
    lagRecords,
    lagSeconds: lagSecondsOf(
      lagRecords,
      partition === 'spool' ? spool?.oldestMs : watermarkMs,
      nowMs,
    ),
    lostRecords: own && head ? Math.max(0, Number(own.lowOffset - BigInt(nextOffset))) : 0,
    headOffset: head?.firstOffset,
    committedAt: head?.committedAt,
    commitRows: head?.rows,
    writer: head?.writer,
    flushAgeMs: ageMs,
  };
}

function lagOf(nextOffset: string, own: PartitionEnds | undefined): number | undefined {
  if (!own) return undefined;
  const next = BigInt(nextOffset);
  // What retention has deleted cannot be archived any more.
  const from = next > own.lowOffset ? next : own.lowOffset;
  return Math.max(0, Number(own.endOffset - from));
}

function lagSecondsOf(
  lagRecords: number | undefined,
  sinceMs: number | undefined,
  nowMs: number,
): number | undefined {
  if (lagRecords === 0) return 0;
  if (lagRecords === undefined || !sinceMs) return undefined;
  return Math.max(0, Math.round((nowMs - sinceMs) / 1000));
}

function isGone(
  partition: string,
  own: PartitionEnds | undefined,
  ends: readonly PartitionEnds[] | undefined,
): boolean {
  return partition !== 'spool' && ends !== undefined && own === undefined;
}

/** `nowMs`: the present without the time that records may wait for company. */
function conditionOf(
  state: PartitionState,
  all: readonly PartitionState[],
  { isMissing, nowMs }: { readonly isMissing: boolean; readonly nowMs: number },
): Condition {
  if (isSilent(state, all)) return 'silent';
  if (isMissing) return 'missing';
  if (state.watermarkMs === 0 && !state.head) return 'unread';
  if (nowMs - state.seenMs > standstillMs) return 'stopped';
  return nowMs - state.watermarkMs > standstillMs + backlogAgeMs ? 'behind' : 'current';
}

function byPartition(a: Watermark, b: Watermark): number {
  const [left, right] = [Number(a.partition), Number(b.partition)];
  if (Number.isNaN(left)) return Number.isNaN(right) ? 0 : 1;
  return Number.isNaN(right) ? -1 : left - right;
}

/** Who holds a period back. */
export interface Holder {
  readonly topic: string;
  readonly partition: string;
  readonly condition: Condition;
  readonly watermarkMs: number;
}

/** How far all of one signal is archived. */
export interface SignalReport {
  readonly signal: Signal;
  /** All that was received before this time (ms since 1970) is committed; 0: nothing is known. */
  readonly completeUpToMs: number;
  /** Partitions that are further behind than archiving takes. */
  readonly heldBy: readonly Holder[];
}

/** The signals, in the order of `topics`. */
export function judgeSignals(
  partitions: readonly PartitionReport[],
  nowMs: number,
): SignalReport[] {
  return (Object.keys(topics) as Signal[]).map((signal) => {
    const own = partitions.filter(({ topic }) => topic === topics[signal]);
    const heldBy = holdersBack(own, nowMs).filter((each) => isLate(each, nowMs));
    return { signal, completeUpToMs: leastWatermark(own), heldBy: heldBy.map(holderOf) };
  });
}

/**
 * - `final`: complete, the allowed lateness included.
 * - `running`: not over yet.
 * - `waiting`: over; late data is waited for.
 * - `held`: partitions hold it back that should be further.
 * - `unknown`: no archiver has ever read this signal.
 */
export type Completeness = 'final' | 'running' | 'waiting' | 'held' | 'unknown';

export interface PeriodReport extends PeriodState {
  readonly state: Completeness;
  /** When it becomes final if nothing is held back, ms since 1970. */
  readonly finalFromMs: number;
  readonly heldBy: readonly Holder[];
}

/** Whether a period is final, and if not, what for. */
export function judgePeriod(
  period: PeriodState,
  partitions: readonly PartitionReport[],
  { allowedLatenessMs, nowMs }: { readonly allowedLatenessMs: number; readonly nowMs: number },
): PeriodReport {
  const own = partitions.filter(({ topic }) => topic === topics[period.signal]);
  const finalFromMs = period.toMs + allowedLatenessMs;
  const heldBy = holdersBack(own, finalFromMs).filter((each) => isLate(each, nowMs));
  const report = { ...period, finalFromMs, heldBy: heldBy.map(holderOf) };
  if (own.length === 0) return { ...report, state: 'unknown' };
  if (leastWatermark(own) >= finalFromMs) return { ...report, state: 'final' };
  if (heldBy.length > 0) return { ...report, state: 'held' };
  return { ...report, state: nowMs < period.toMs ? 'running' : 'waiting' };
}

/** Whether a partition is further behind than archiving takes. */
function isLate({ watermarkMs, flushAgeMs }: PartitionReport, nowMs: number): boolean {
  return watermarkMs < nowMs - statusDelayMs - flushAgeMs;
}

function holderOf({ topic, partition, condition, watermarkMs }: PartitionReport): Holder {
  return { topic, partition, condition, watermarkMs };
}

export interface Thresholds {
  /** Records that one partition may have that are not archived. */
  readonly maxLag?: number | undefined;
  /** What a watermark may be behind, ms. */
  readonly maxAgeMs?: number | undefined;
}

/** What is beyond the thresholds, a sentence for each; silent partitions are no alert. */
export function alertsOf(
  partitions: readonly PartitionReport[],
  { maxLag, maxAgeMs }: Thresholds,
  nowMs: number,
): string[] {
  return partitions
    .filter(({ condition }) => condition !== 'silent')
    .flatMap(({ topic, partition, lagRecords = 0, watermarkMs }) => {
      const name = `${topic}/${partition}`;
      const alerts: string[] = [];
      if (maxLag !== undefined && lagRecords > maxLag) {
        alerts.push(
          `${name} has ${lagRecords} records that are not archived, allowed are ${maxLag}`,
        );
      }
      const age = Math.round((nowMs - watermarkMs) / 1000);
      if (maxAgeMs !== undefined && age > maxAgeMs / 1000) {
        const behind = watermarkMs === 0 ? 'was never read' : `is complete up to ${age} s ago only`;
        alerts.push(`${name} ${behind}, allowed are ${maxAgeMs / 1000} s`);
      }
      return alerts;
    });
}
