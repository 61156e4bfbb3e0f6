/** Plans a replay: which files hold what is asked for. Reads commits only, no file. */
import type { Signal } from '../../schemas/archive.ts';
import { listPeriodFiles } from '../clients/commits/archive.ts';
import type { ObjectStore } from '../clients/store/objects.ts';

const hourMs = 3_600_000;

export interface ReplayQuery {
  readonly signals: readonly Signal[];
  /** Items whose time is in [fromMs, toMs), ms since 1970; a quarantined item's is its receipt. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly tenantId: string | undefined;
  /** Only items of this `service.name`. */
  readonly service: string | undefined;
}

export interface ReplayFile {
  readonly signal: Signal;
  readonly key: string;
  readonly bytes: number;
  readonly hourMs: number;
  /** Rows of each row group. */
  readonly rowGroups: readonly number[];
}

/** The files by signal, then by event hour. Throws OBJECT_STORE and CORRUPT_ARCHIVE. */
export async function planReplay(store: ObjectStore, query: ReplayQuery): Promise<ReplayFile[]> {
  const fromMs = Math.floor(query.fromMs / hourMs) * hourMs;
  const toMs = Math.ceil(query.toMs / hourMs) * hourMs;
  const planned: ReplayFile[] = [];
  for (const signal of query.signals) {
    const { files } = await listPeriodFiles(store, signal, fromMs, toMs);
    for (const { key, bytes, hourMs: hour, rowGroups, tenants } of files) {
      const isOthers = query.tenantId !== undefined && tenants?.includes(query.tenantId) === false;
      if (isOthers) continue;
      const rows = rowGroups.map((group) => group.rows);
      planned.push({ signal, key, bytes, hourMs: hour, rowGroups: rows });
    }
  }
  return planned;
}

/** Rows of a file. */
export function rowsOf(file: ReplayFile): number {
  return file.rowGroups.reduce((sum, rows) => sum + rows, 0);
}
