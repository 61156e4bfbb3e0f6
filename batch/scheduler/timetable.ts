/** Says when the schedule's ticks are due, by the cron lines of the settings, in UTC. It reads no clock. */
import { Cron } from 'croner';
import { SettingError } from '../../schemas/errors.ts';
import { ticksCaughtUpMax } from '../../schemas/limits/batch.ts';
import type { PeriodKind } from '../../schemas/period.ts';
import type { Settings } from '../../schemas/settings.ts';

export type TimetableSettings = Pick<Settings, 'TIDEMARK_BATCH_CRON' | 'TIDEMARK_BATCH_HOUR_CRON'>;

export class Timetable {
  readonly #crons: Readonly<Record<PeriodKind, Cron | undefined>>;

  /** Throws `SettingError` for a cron line that cannot be read. */
  constructor(settings: TimetableSettings) {
    this.#crons = {
      day: cronOf('TIDEMARK_BATCH_CRON', settings),
      hour: cronOf('TIDEMARK_BATCH_HOUR_CRON', settings),
    };
  }

  /** The first tick after a time, both in ms since 1970; `undefined` when there is none. */
  next(kind: PeriodKind, afterMs: number): number | undefined {
    // Croner counts whole seconds, and begins behind the one that it is given.
    const second = Math.floor(afterMs / 1000) * 1000;
    return this.#crons[kind]?.nextRun(new Date(second))?.getTime();
  }

  /** The last tick before a time. */
  previous(kind: PeriodKind, beforeMs: number): number | undefined {
    return this.#crons[kind]?.previousRuns(1, new Date(beforeMs))[0]?.getTime();
  }

  /** Ticks in (afterMs, untilMs], oldest first; of very many the last ones. */
  between(kind: PeriodKind, afterMs: number, untilMs: number): number[] {
    const ticks: number[] = [];
    const behindUntil = Math.floor(untilMs / 1000) * 1000 + 1000;
    let tick = this.previous(kind, behindUntil);
    while (tick !== undefined && tick > afterMs && ticks.length < ticksCaughtUpMax) {
      ticks.push(tick);
      tick = this.previous(kind, tick);
    }
    return ticks.toReversed();
  }
}

/** Throws `SettingError` for a cron line that cannot be read. */
export function checkTimetable(settings: TimetableSettings): void {
  cronOf('TIDEMARK_BATCH_CRON', settings);
  cronOf('TIDEMARK_BATCH_HOUR_CRON', settings);
}

function cronOf(name: keyof TimetableSettings, settings: TimetableSettings): Cron | undefined {
  const line = settings[name].trim();
  if (line === '') return undefined;
  try {
    return new Cron(line, { timezone: 'UTC', mode: '5-part' });
  } catch (cause) {
    const message = `Cannot use setting ${name}: "${line}" is not a cron line such as 0 4 * * *`;
    throw new SettingError(name, message, { cause });
  }
}
