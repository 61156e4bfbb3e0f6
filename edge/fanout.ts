/**
 * Gives one batch to both layers at once: its OTLP bytes to the archive leg, its rows to
 * ClickHouse or else to the spool. It returns only when the edge's promise holds.
 */
import type { TableRows } from '../aggregator-as/host.ts';
import { speedSpoolPrefix, spoolName } from '../schemas/archive.ts';
import type { Signal } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import { sinkConnectionsMax, streamedBodyBytesMin } from '../schemas/limits.ts';
import { archive } from './archive.ts';
import type { ArchivePart, ArchiveTools, FreshPart } from './archive.ts';
import { gateOf, settle } from './gate.ts';
import type { Gate } from './gate.ts';
import { insertRows } from './insert.ts';
import type { InsertSettings, InsertTools } from './insert.ts';
import { copyOf } from './lend.ts';
import type { Lent } from './lend.ts';
import { spool } from './spool.ts';
import { tokenOf } from './token.ts';

/** A batch that was judged: at least one item of every part is valid. */
export interface Batch {
  readonly signal: Signal;
  /** One part when the batch is a single request. */
  readonly parts: readonly ArchivePart[];
  /** Rows of all parts; none when every valid item is quarantined. */
  readonly tables: readonly TableRows[];
}

/** Rows of one table that are made again when they are asked for again. */
export interface LazyRows extends Omit<TableRows, 'rows'> {
  readonly rows: Lent;
}

/** A batch that may still lie in the transcoder's memory. */
export interface FreshBatch extends Omit<Batch, 'parts' | 'tables'> {
  readonly parts: readonly FreshPart[];
  readonly tables: readonly LazyRows[];
}

/** How a batch is stored. */
export interface Stored {
  /** Names its rows to ClickHouse. */
  readonly token: string;
  /** Whether the archive may have some of it twice. */
  readonly isDoubtful: boolean;
}

export interface FanoutTools extends InsertTools, ArchiveTools {}

/**
 * Returns when the batch is in the archive leg, and in ClickHouse or the spool of rows. Throws
 * SINK_FAILED, retryable, when either is not so: the client has to send it again. What is stored
 * already then stays: ClickHouse knows it again by its token, the archive's readers by its identity.
 */
export async function fanOut(
  batch: FreshBatch,
  settings: InsertSettings,
  tools: FanoutTools,
): Promise<Stored> {
  const gate = gateOf(sinkConnectionsMax);
  const archiving = archive(batch.signal, batch.parts, gate, settings, tools);
  const naming = tokenOf(batch.parts);
  const inserting = batch.tables.map(async (rows) =>
    insert(rows, await naming, gate, settings, tools),
  );
  const [archived, ...inserted] = await Promise.allSettled([archiving, ...inserting]);
  // Rows are spooled only after the archive has the batch: else the client sends it again.
  if (archived.status === 'rejected') throw archived.reason;
  const left = batch.tables.filter((_, index) => {
    const outcome = inserted[index];
    if (outcome?.status === 'rejected') throw outcome.reason;
    return outcome?.value !== true;
  });
  const name = spoolName({ ...namesOf(batch), requestId: await naming });
  await settle(
    left.map(({ table, rows }) => {
      const key = `${speedSpoolPrefix(table)}${name}`;
      return spool('speed_spool', key, () => copyOf(rows), gate, settings, tools);
    }),
  );
  return { token: await naming, isDoubtful: archived.value.isDoubtful };
}

/** Time and tenant in the name of spooled rows: those of the first part. */
function namesOf({ parts: [first] }: FreshBatch) {
  if (first === undefined) throw new Error('Bug: a batch has no part');
  return first.parts;
}

/** Rows as `fetch` may have them: where it copies them itself, nobody else has to. */
function bodyOf(rows: Lent, { copiesBodies }: FanoutTools): Uint8Array {
  if (rows instanceof Uint8Array) return rows;
  const fresh = rows();
  const isCopied = fresh.length < streamedBodyBytesMin && copiesBodies?.() === true;
  return isCopied ? fresh : fresh.slice();
}

/** Whether ClickHouse has the rows of one table. A table that keeps failing is not asked. */
async function insert(
  { table, rows }: LazyRows,
  token: string,
  gate: Gate,
  settings: InsertSettings,
  tools: FanoutTools,
): Promise<boolean> {
  const breaker = tools.sinks.tables.get(table);
  return gate(async () => {
    if (breaker?.admit() === false) {
      tools.meter.add('sink_total', 1, 'sink="clickhouse",result="skipped"');
      return false;
    }
    try {
      await insertRows(table, bodyOf(rows, tools), token, settings, tools);
      breaker?.succeeded();
      tools.meter.add('sink_total', 1, 'sink="clickhouse",result="ok"');
      return true;
    } catch (error) {
      if (!(error instanceof TidemarkError)) throw error;
      // Rows that ClickHouse refuses say nothing about the next ones.
      if (!error.retryable) breaker?.succeeded();
      else if (breaker?.failed()) {
        tools.meter.add('breaker_opened_total', 1, 'sink="clickhouse"');
      }
      tools.meter.add('sink_total', 1, 'sink="clickhouse",result="failed"');
      tools.warn(error.message);
      return false;
    }
  });
}
