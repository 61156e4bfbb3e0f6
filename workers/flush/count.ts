/**
 * Counts what becomes of records, by tenant and minute of receipt: the archiver's own side of the ledger, which
 * goes into its commits. It never reads what the edge counted.
 */
import type { CommitCount } from '../../schemas/commit.ts';

/** What is counted of one record, or of several. */
export interface Counted {
  /** Whether it came through the edge, whose time of receipt it then carries. */
  readonly isEdges: boolean;
  /** Empty when nothing says whose it is. */
  readonly tenantId: string;
  /** Minutes since 1970 in which it was received. */
  readonly minute: number;
  readonly records: number;
  readonly rows: number;
  readonly rejected: number;
  /** Records that were set aside whole. */
  readonly dead: number;
}

const minuteMs = 60_000;

/** The minute, counted since 1970, of a time in ms since 1970. */
export function minuteOf(timeMs: number): number {
  return Math.floor(timeMs / minuteMs);
}

/** Sums by tenant, minute and origin. */
export class Counts {
  readonly #sums = new Map<string, { -readonly [K in keyof Counted]: Counted[K] }>();

  add(counted: Counted): void {
    const { isEdges, tenantId, minute } = counted;
    const key = `${isEdges ? 'edge' : 'other'} ${minute} ${tenantId}`;
    const sum = this.#sums.get(key);
    if (sum === undefined) {
      this.#sums.set(key, { ...counted });
      return;
    }
    sum.records += counted.records;
    sum.rows += counted.rows;
    sum.rejected += counted.rejected;
    sum.dead += counted.dead;
  }

  /** How many sums there are. */
  get size(): number {
    return this.#sums.size;
  }

  values(): Counted[] {
    return [...this.#sums.values()];
  }
}

/** The sums as a commit has them: by tenant and origin, minutes ascending. */
export function commitCounts(counted: readonly Counted[]): CommitCount[] {
  const groups = Map.groupBy(counted, ({ isEdges, tenantId }) => `${Number(isEdges)} ${tenantId}`);
  return [...groups.values()].map((group) => ({
    tenant: group[0]?.tenantId ?? '',
    origin: group[0]?.isEdges === true ? 'edge' : 'other',
    minutes: group
      .toSorted((a, b) => a.minute - b.minute)
      .map(({ minute, records, rows, rejected, dead }) => [minute, records, rows, rejected, dead]),
  }));
}
