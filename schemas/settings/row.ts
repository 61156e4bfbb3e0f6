/** What a row of the table of settings says, and how it is written. */

export type SettingKind = 'string' | 'secret' | 'url' | 'integer' | 'choice';
export type Program =
  'edge' | 'archive' | 'batch' | 'compact' | 'retain' | 'kafka-rest' | 'lookup' | 'start' | 'all';

export interface SettingRow {
  readonly kind: SettingKind;
  /** Unit of an integer, empty for others. */
  readonly unit: string;
  readonly default: string;
  readonly meaning: string;
  readonly programs: readonly Program[];
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly string[];
}

export const kib = 1024;
export const mib = 1024 * kib;
export const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;

/** A row of text. */
export function row<K extends SettingKind>(
  kind: K,
  defaultValue: string,
  meaning: string,
  programs: readonly Program[],
) {
  return { kind, unit: '', default: defaultValue, meaning, programs } as const;
}

/** A row of whole numbers. */
export function integer(
  unit: string,
  defaultValue: number,
  meaning: string,
  programs: readonly Program[],
  min: number,
  max: number = Number.MAX_SAFE_INTEGER,
) {
  const kind = 'integer' as const;
  return { kind, unit, default: String(defaultValue), meaning, programs, min, max };
}
