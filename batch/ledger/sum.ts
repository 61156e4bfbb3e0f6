/** Sums the minutes of a ledger up by tenant, and lists differences by name. Pure. */
import { differenceKinds } from '../../schemas/difference.ts';
import type { DifferenceKind, DifferenceText } from '../../schemas/difference.ts';
import type { LedgerMinute } from './balance.ts';

/** One kind of difference of one tenant. */
export interface Difference extends DifferenceText {
  readonly kind: DifferenceKind;
  readonly items: number;
  /** Minutes that have it: how many, and starts of the first and the last, ms since 1970. */
  readonly minutes: number;
  readonly firstMs: number;
  readonly lastMs: number;
}

/** Items of settled minutes, unless said otherwise. */
export interface TenantLedger {
  readonly tenantId: string;
  readonly received: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly rejectedBy: Readonly<Record<string, number>>;
  readonly quarantined: number;
  readonly copies: number;
  readonly refused: number;
  readonly archived: number;
  readonly archivedOther: number;
  readonly speed: number;
  readonly spooled: number;
  readonly late: number;
  /** Received in minutes that are not settled. */
  readonly open: number;
  /** received - archived - rejected - copies: 0 when the equation holds. */
  readonly unbalanced: number;
  /** Faults first, then what waits, then notices. */
  readonly differences: readonly Difference[];
}

/** A ledger of each tenant, in the order of their names. */
export function sumTenants(minutes: readonly LedgerMinute[]): TenantLedger[] {
  const byTenant = Map.groupBy(minutes, ({ tenantId }) => tenantId);
  return [...byTenant]
    .map(([tenantId, own]) => sumTenant(tenantId, own))
    .toSorted((a, b) => (a.tenantId < b.tenantId ? -1 : 1));
}

function sumTenant(tenantId: string, minutes: readonly LedgerMinute[]): TenantLedger {
  const settled = minutes.filter(({ isSettled }) => isSettled);
  const sum = (of: (minute: LedgerMinute) => number, over = settled) =>
    over.reduce((total, minute) => total + of(minute), 0);
  const rejectedBy: Record<string, number> = {};
  for (const minute of settled) {
    for (const [reason, items] of Object.entries(minute.rejectedBy)) {
      rejectedBy[reason] = (rejectedBy[reason] ?? 0) + items;
    }
  }
  const [accepted, rejected] = [sum((minute) => minute.accepted), sum((minute) => minute.rejected)];
  const [archived, copies] = [sum((minute) => minute.archived), sum((minute) => minute.copies)];
  return {
    tenantId,
    received: accepted + rejected,
    accepted,
    rejected,
    rejectedBy,
    quarantined: sum((minute) => minute.quarantined),
    copies,
    refused: sum((minute) => minute.refused),
    archived,
    archivedOther: sum((minute) => minute.archivedOther),
    speed: sum((minute) => minute.speed),
    spooled: sum((minute) => minute.inSpool),
    late: sum((minute) => minute.late),
    open: sum(
      (minute) => minute.accepted + minute.rejected,
      minutes.filter(({ isSettled }) => !isSettled),
    ),
    unbalanced: accepted - archived - copies,
    differences: differencesOf(minutes),
  };
}

function differencesOf(minutes: readonly LedgerMinute[]): Difference[] {
  const kinds = Object.entries(differenceKinds) as [DifferenceKind, DifferenceText][];
  return kinds.flatMap(([kind, text]) => {
    const own = minutes.filter(({ differences }) => (differences[kind] ?? 0) > 0);
    const [first, last] = [own[0], own.at(-1)];
    if (first === undefined || last === undefined) return [];
    const items = own.reduce((sum, { differences }) => sum + (differences[kind] ?? 0), 0);
    const range = { minutes: own.length, firstMs: first.minuteMs, lastMs: last.minuteMs };
    return [{ kind, ...text, items, ...range }];
  });
}
