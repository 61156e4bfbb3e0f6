/** Checks what differences are called, and that what may still be on its way is not called anything. */
import { describe, expect, it } from 'vitest';
import { judge } from '../../../batch/ledger/balance.ts';
import type { MinuteSums } from '../../../batch/ledger/match.ts';
import { sumTenants } from '../../../batch/ledger/sum.ts';

const minuteMs = Date.parse('2026-11-22T12:00:00Z');

/** A minute in which 100 valid and 10 invalid items were received and everything is right, but for `change`. */
function sums(change: Partial<MinuteSums> = {}): MinuteSums {
  return {
    tenantId: 'acme',
    minuteMs,
    accepted: 100,
    rejected: 10,
    rejectedBy: { attributes: 10 },
    quarantined: 0,
    copies: 0,
    refused: 0,
    given: 100,
    givenRejected: 10,
    unsure: 0,
    archived: 100,
    archivedRejected: 10,
    dead: 0,
    archivedOther: 0,
    uncounted: 0,
    speed: 100,
    late: 0,
    keptOnce: 0,
    inSpool: 0,
    setAside: 0,
    missing: 0,
    storedThoughRefused: 0,
    duplicated: 0,
    unnoted: 0,
    ...change,
  };
}

const standing = { settledMs: minuteMs + 60_000, countedFromMs: 0 };

describe('judge()', () => {
  it.each<[string, Partial<MinuteSums>, object]>([
    ['nothing', {}, {}],
    ['a record lost', { archived: 70 }, { lost_before_archive: 30 }],
    ['a dead letter', { archived: 70, dead: 1 }, { set_aside_by_archiver: 30 }],
    ['a note lost', { given: 80, unnoted: 20 }, { not_counted_at_edge: 20 }],
    ['rows of others', { unnoted: 20 }, { only_in_speed: 20 }],
    [
      'a lost note and rows of others',
      { given: 80, unnoted: 25 },
      { not_counted_at_edge: 20, only_in_speed: 5 },
    ],
    ['refused, but archived', { archived: 130, unsure: 30 }, { stored_though_refused: 30 }],
    ['refused, not archived', { unsure: 30, refused: 30 }, {}],
    [
      'refused, archived, and more',
      { archived: 130, unsure: 20 },
      { stored_though_refused: 20, not_counted_at_edge: 10 },
    ],
    ['other limits', { archivedRejected: 7 }, { judged_otherwise: 3 }],
    [
      'a lost record has no second name',
      { archived: 70, archivedRejected: 7 },
      { lost_before_archive: 30 },
    ],
    [
      'the speed side',
      { missing: 1, duplicated: 2, inSpool: 3, setAside: 4, keptOnce: 5 },
      {
        missing_in_speed: 1,
        duplicated_in_speed: 2,
        in_spool: 3,
        refused_by_clickhouse: 4,
        sent_again: 5,
      },
    ],
  ])('judge() names %s', (_what, change, expected) => {
    const judged = judge(sums(change), standing);
    expect(judged.isSettled).toBe(true);
    expect(judged.differences).toEqual(expected);
  });

  it('judge() says nothing of a minute that is open, nor of the archive where it was not counted', () => {
    const lost = sums({ archived: 0, missing: 100 });
    expect(judge(lost, { ...standing, settledMs: minuteMs + 59_999 })).toMatchObject({
      isSettled: false,
      differences: {},
    });
    const before = { ...standing, countedFromMs: minuteMs + 60_000 };
    expect(judge(lost, before).differences).toEqual({ missing_in_speed: 100 });
  });
});

describe('sumTenants()', () => {
  it('sumTenants() adds settled minutes up, and says where differences are', () => {
    const settled = { ...standing, settledMs: minuteMs + 180_000 };
    const at = (minutes: number, change: Partial<MinuteSums> = {}) =>
      judge(sums({ minuteMs: minuteMs + minutes * 60_000, ...change }), settled);
    const [acme, beta] = sumTenants([
      at(0, { missing: 1 }),
      at(1, { tenantId: 'beta', copies: 5, archived: 95, given: 95 }),
      at(2, { missing: 2, archived: 60 }),
      at(3),
    ]);
    expect(acme).toMatchObject({
      tenantId: 'acme',
      received: 220,
      rejectedBy: { attributes: 20 },
      archived: 160,
      unbalanced: 40,
      open: 110,
      differences: [
        { kind: 'lost_before_archive', items: 40, minutes: 1, firstMs: minuteMs + 120_000 },
        {
          kind: 'missing_in_speed',
          items: 3,
          minutes: 2,
          firstMs: minuteMs,
          lastMs: minuteMs + 120_000,
        },
      ],
    });
    expect(beta).toMatchObject({ received: 110, copies: 5, unbalanced: 0, differences: [] });
  });
});
