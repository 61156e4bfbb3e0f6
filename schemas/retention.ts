/**
 * How long event days are kept, by signal and tenant: reads the setting TIDEMARK_RETENTION and says
 * whose rows of a day stay. Nothing configured keeps everything.
 */
import { tenantPattern, topics, type Signal } from './archive.ts';
import { SettingError } from './errors.ts';

/** Whose rows stay. */
export interface TenantFilter {
  /** Of tenants that are not named. */
  readonly others: boolean;
  readonly named: Readonly<Record<string, boolean>>;
}

interface Rule {
  /** `undefined`: every tenant. */
  readonly tenant: string | undefined;
  /** `undefined`: every signal. */
  readonly signal: Signal | undefined;
  /** Whole days; `Infinity` for ever. */
  readonly days: number;
}

export type Retention = readonly Rule[];

const dayMs = 86_400_000;

/**
 * The rules of a text such as `all=90d, logs=14d, tenant:acme/traces=365d, tenant:beta/all=forever`.
 * Throws `SettingError` for a text that is none, and for two rules of the same tenant and signal.
 */
export function parseRetention(text: string): Retention {
  const rules = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(parseRule);
  const names = rules.map(({ tenant, signal }) => `${tenant ?? ''}/${signal ?? ''}`);
  if (new Set(names).size === names.length) return rules;
  throw unusable(`"${text}" has two rules of the same tenant and signal`);
}

function parseRule(text: string): Rule {
  const match = /^(?:tenant:([^/=]+)\/)?([a-z]+)=(?:(\d{1,5})d|forever)$/.exec(text);
  const [, tenant, name = '', days] = match ?? [];
  const isSignal = name === 'all' || name in topics;
  const isTenant = tenant === undefined || tenantPattern.test(tenant);
  if (!match || !isSignal || !isTenant || days === '0') {
    throw unusable(`"${text}" is no rule such as traces=30d or tenant:acme/all=forever`);
  }
  return {
    tenant,
    signal: name === 'all' ? undefined : (name as Signal),
    days: days === undefined ? Number.POSITIVE_INFINITY : Number(days),
  };
}

function unusable(reason: string): SettingError {
  return new SettingError('TIDEMARK_RETENTION', `Cannot use setting TIDEMARK_RETENTION: ${reason}`);
}

/**
 * Days that a tenant's items of a signal are kept, `Infinity` for ever. A rule of the tenant counts
 * before one of all tenants, and then one of the signal before one of all signals.
 */
export function daysKept(retention: Retention, signal: Signal, tenant: string | undefined): number {
  const find = (wanted: string | undefined, own: Signal | undefined) =>
    retention.find((rule) => rule.tenant === wanted && rule.signal === own)?.days;
  const ofTenant =
    tenant === undefined ? undefined : (find(tenant, signal) ?? find(tenant, undefined));
  const ofAll = find(undefined, signal) ?? find(undefined, undefined);
  return ofTenant ?? ofAll ?? Number.POSITIVE_INFINITY;
}

/**
 * Whose items of an event day stay at `nowMs`. `n` days are kept whole: a day goes once its end lies
 * `n` days back. `hourMs` is any time of the day, ms since 1970.
 */
export function tenantsKept(
  retention: Retention,
  signal: Signal,
  hourMs: number,
  nowMs: number,
): TenantFilter {
  const endMs = (Math.floor(hourMs / dayMs) + 1) * dayMs;
  const stays = (tenant: string | undefined) =>
    endMs + daysKept(retention, signal, tenant) * dayMs > nowMs;
  const tenants = retention.flatMap(({ tenant }) => tenant ?? []);
  return {
    others: stays(undefined),
    named: Object.fromEntries(tenants.map((tenant) => [tenant, stays(tenant)])),
  };
}

/** Whether a tenant's rows stay. */
export function isKept({ others, named }: TenantFilter, tenant: string): boolean {
  return Object.hasOwn(named, tenant) ? named[tenant] === true : others;
}

/** Start of the first day of a signal of which everything stays, ms since 1970; before it look closer. */
export function keptFromMs(retention: Retention, signal: Signal, nowMs: number): number {
  const tenants = [undefined, ...retention.flatMap(({ tenant }) => tenant ?? [])];
  const least = Math.min(...tenants.map((tenant) => daysKept(retention, signal, tenant)));
  if (least === Number.POSITIVE_INFINITY) return 0;
  return Math.max(0, (Math.floor(nowMs / dayMs) - least) * dayMs);
}
