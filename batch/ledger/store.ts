/** Stores the ledger of a day in ClickHouse, where the API and the dashboard read it. It computes nothing. */
import type { Signal } from '../../schemas/archive.ts';
import { dateTime } from '../../schemas/period.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import type { LedgerMinute } from './balance.ts';

/**
 * Adds the minutes to `ledger_minutes`; readers of the view `ledger` see those of the last computation of a day
 * and signal alone. Throws `ClickHouseError`.
 */
export async function storeMinutes(
  clickhouse: ClickHouse,
  of: Signal,
  minutes: readonly LedgerMinute[],
  computedMs: number,
): Promise<void> {
  const rows = minutes.map((minute) => ({
    signal: of,
    tenant_id: minute.tenantId,
    minute: dateTime(minute.minuteMs),
    computed_at: new Date(computedMs).toISOString(),
    is_settled: minute.isSettled,
    received: minute.accepted + minute.rejected,
    accepted: minute.accepted,
    rejected: minute.rejected,
    rejected_by: minute.rejectedBy,
    quarantined: minute.quarantined,
    copies: minute.copies,
    refused: minute.refused,
    archived: minute.archived,
    archived_other: minute.archivedOther,
    speed: minute.speed,
    late: minute.late,
    differences: minute.differences,
  }));
  await clickhouse.insertRows('ledger_minutes', rows, { idempotent: true });
}
