/** Checks what people read of the books. */
import { describe, expect, it } from 'vitest';
import { describeLedger, ledgerAlerts } from '../../../bin/ledger/describe.ts';
import type { Balanced } from '../../../bin/ledger/describe.ts';
import { differenceKinds } from '../../../schemas/difference.ts';
import { parsePeriod } from '../../../schemas/period.ts';

const firstMs = Date.parse('2026-11-21T09:17:00Z');

const balanced: Balanced = {
  period: parsePeriod('2026-11-21'),
  signal: 'traces',
  settledMs: Date.parse('2026-11-22T09:40:30Z'),
  goneFiles: [{ key: 'signal=traces/a.parquet', rows: 7, ingestedMaxMs: firstMs }],
  tenants: [
    {
      tenantId: 'acme',
      received: 91_204,
      accepted: 91_192,
      rejected: 12,
      rejectedBy: { trace_id_zero: 12 },
      quarantined: 0,
      copies: 0,
      refused: 0,
      archived: 91_192,
      archivedOther: 0,
      speed: 91_181,
      spooled: 0,
      late: 40,
      open: 0,
      unbalanced: 0,
      differences: [
        {
          kind: 'missing_in_speed',
          ...differenceKinds.missing_in_speed,
          items: 11,
          minutes: 1,
          firstMs,
          lastMs: firstMs,
        },
        {
          kind: 'in_spool',
          ...differenceKinds.in_spool,
          items: 3,
          minutes: 2,
          firstMs,
          lastMs: firstMs + 60_000,
        },
      ],
    },
  ],
};

describe('describeLedger()', () => {
  it('describeLedger() shows the equation, reasons, and each difference with what to do', () => {
    const lines = describeLedger(balanced).split('\n');
    expect(lines[0]).toBe(
      '2026-11-21 (traces): received = archived + rejected + copies, settled until 2026-11-22 09:40 UTC',
    );
    const titles = ['tenant', 'received', 'rejected', 'copies', 'archived', 'off', 'by'];
    expect(lines[2]?.trim().split(/\s+/).slice(0, 7)).toEqual(titles);
    const cells = ['acme', '91204', '12', '0', '91192', '0', '91181', '0', '40'];
    expect(lines[4]?.trim().split(/\s+/).slice(0, 9)).toEqual(cells);
    expect(lines).toContain('  acme: 12 rejected: trace_id_zero');
    expect(lines).toContain('  fault: acme: 11 missing in the speed layer, in 1 minute (09:17)');
    expect(lines).toContain('      "tidemark repair" inserts them from the archive');
    expect(lines).toContain(
      '  waiting: acme: 3 in the spool, not drained, in 2 minutes (09:17 to 09:18)',
    );
    expect(lines).toContain('  gone: signal=traces/a.parquet (7 rows)');
    expect(describeLedger({ ...balanced, tenants: [], settledMs: 0 })).toContain(
      'settled until no time yet\n\n  Nothing was received.\n',
    );
  });

  it('ledgerAlerts() names faults alone', () => {
    expect(ledgerAlerts('traces', balanced.tenants)).toEqual([
      'traces: acme has 11 missing in the speed layer',
    ]);
  });
});
