/**
 * What somebody is about to do with a published run's rows, as objects in the store: to remove them, or to make
 * the run current again. Each says so before it looks whether the other does.
 */
import type { Signal } from './archive.ts';
import type { Period } from './period.ts';

export type Intent = 'drop' | 'restore';

/** A published run. */
export interface RunName {
  readonly signal: Signal;
  readonly period: Pick<Period, 'name'>;
  readonly runId: string;
}

/** Prefix of all intents about a run. */
export function intentPrefix({ signal, period, runId }: RunName): string {
  return `_runs/${signal}/${period.name}/${runId}/`;
}

/** Key of an intent; `own` tells it from others'. */
export function intentKey(run: RunName, intent: Intent, own: string): string {
  return `${intentPrefix(run)}${intent}-${own}`;
}

/** The intent of a key under the run's prefix; `undefined` for another object. */
export function intentOf(run: RunName, key: string): Intent | undefined {
  const name = key.slice(intentPrefix(run).length);
  if (name.startsWith('drop-')) return 'drop';
  return name.startsWith('restore-') ? 'restore' : undefined;
}
