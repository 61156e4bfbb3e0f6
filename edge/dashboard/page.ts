/** What a page is, and the range of time that pages share. */

/** Where the user is: the page's name, what it is about, and its parameters, all in the address. */
export interface Place {
  readonly name: string;
  readonly parameters: URLSearchParams;
}

export interface Visit {
  readonly place: Place;
  /** This place with some parameters changed; empty ones are left out. */
  readonly change: (parameters: Readonly<Record<string, string>>) => void;
  readonly nowMs: () => number;
}

/** A page on the screen. */
export interface Open {
  /** Whether it is worth a look every second. */
  readonly isLive: boolean;
  /** Reads again and shows what is new. */
  refresh(signal: AbortSignal): Promise<void>;
}

export interface Page {
  readonly title: (place: Place) => string;
  /** Builds what stays; `refresh` fills in what changes. */
  readonly open: (root: HTMLElement, visit: Visit) => Open;
}

/** Ranges that end now. */
export const ranges: Readonly<Record<string, string>> = {
  '15m': 'last 15 minutes',
  '1h': 'last hour',
  '6h': 'last 6 hours',
  '24h': 'last 24 hours',
  '7d': 'last 7 days',
};

const rangeMs: Readonly<Record<string, number>> = {
  '15m': 900_000,
  '1h': 3_600_000,
  '6h': 21_600_000,
  '24h': 86_400_000,
  '7d': 604_800_000,
};

export function rangeName({ place }: Visit): string {
  return place.parameters.get('range') ?? '1h';
}

/** Begin and end of the chosen range, ms since 1970. */
export function rangeOf(visit: Visit): { readonly from: number; readonly to: number } {
  const to = visit.nowMs() + 1000;
  return { from: to - (rangeMs[rangeName(visit)] ?? 3_600_000), to };
}

/** The address of a place. */
export function href(name: string, parameters: Readonly<Record<string, string>> = {}): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== '');
  const query = new URLSearchParams(given).toString();
  return `#/${name}${query === '' ? '' : `?${query}`}`;
}

/** A UTC day: today, or so many days before. */
export function day(nowMs: number, before = 0): string {
  return new Date(nowMs - before * 86_400_000).toISOString().slice(0, 10);
}
