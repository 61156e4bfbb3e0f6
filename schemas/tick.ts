/**
 * The tick: one due time of the batch's schedule, as a small object that whoever keeps the time stores
 * and the scheduler takes. Its key says all, so that two keepers of one time make one tick.
 */
import type { PeriodKind } from './period.ts';

export interface Tick {
  /** What it asks to be computed: the hours, or the days, that are due. */
  readonly kind: PeriodKind;
  /** When it was due: ms since 1970, a whole minute. */
  readonly atMs: number;
}

/** Prefix of all ticks that wait for the scheduler. */
export const ticksPrefix = '_ticks/';

const minuteMs = 60_000;

/** The tick of the minute that `ms` (since 1970) lies in. */
export function tickOf(kind: PeriodKind, ms: number): Tick {
  return { kind, atMs: Math.floor(ms / minuteMs) * minuteMs };
}

/** Key of a tick, such as `_ticks/day/2026-11-23T04:00Z.json`. */
export function tickKey({ kind, atMs }: Tick): string {
  return `${ticksPrefix}${kind}/${new Date(atMs).toISOString().slice(0, 16)}Z.json`;
}

/** The tick of a key, or `undefined` for a key that is none of ours. */
export function parseTickKey(key: string): Tick | undefined {
  const [, kind, minute] = /^_ticks\/(day|hour)\/([\d-]{10}T[\d:]{5})Z\.json$/.exec(key) ?? [];
  const atMs = Date.parse(`${minute}:00Z`);
  if (kind === undefined || Number.isNaN(atMs)) return undefined;
  const tick: Tick = { kind: kind === 'day' ? 'day' : 'hour', atMs };
  return tickKey(tick) === key ? tick : undefined;
}
