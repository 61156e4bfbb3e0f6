/**
 * What the batch has to know of a signal, and no more: how rows become a shard's partial, and how
 * partials become the rows that are published. `signals.ts` says it for each; all else is the same.
 */
import type { Signal } from '../schemas/archive.ts';
import type { PeriodKind } from '../schemas/period.ts';
import type { ShardRange } from '../schemas/shard.ts';
import type { ReadRange } from '../workers/clients/parquet/remote.ts';
import type { ArrowBatch } from './shard/arrow.ts';
import type { SignalDrift } from './drift.ts';
import type { ShardMemory } from './plan/plan.ts';
import type { PartialReader } from './merge/ranges.ts';
import type { Proof } from './verify.ts';

/** Rows [from, to) of a record batch, all of one event hour. Valid only during the call. */
export interface RowSlice {
  readonly arrow: ArrowBatch;
  readonly from: number;
  readonly to: number;
  /** Start of the hour, UTC, ms since 1970. */
  readonly hourMs: number;
}

/** Computes shards on one thread, one after the other: by itself, or from rows that it is given. */
export type ShardWork = ShardMerge | ShardRows;

/** Reads the shards' files by itself, which exploits their order. */
export interface ShardMerge extends ShardResult {
  /**
   * Begins anew and reads all rows of a shard. Throws what `read` throws, and `TidemarkError` CAPACITY,
   * CORRUPT_ARCHIVE.
   */
  merge(shard: ShardRange, read: ReadRange, onFile: (key: string) => void): Promise<void>;
}

/** Is given the rows of a shard, in any order. */
export interface ShardRows extends ShardResult {
  /** Columns of the rows that it wants, beside the one of ids. */
  readonly columns: readonly string[];
  /** Forgets what was added. */
  reset(): void;
  /**
   * Takes the rows. Throws `TidemarkError` CAPACITY when they do not fit; only `reset` may follow
   * then.
   */
  add(rows: RowSlice): void;
}

interface ShardResult {
  /** The partial of the shard's rows, a function of their set. Throws CAPACITY. */
  finish(): Uint8Array;
}

export interface WorkOptions {
  /** The module of `SignalBatch.kernel`. */
  readonly kernel: WebAssembly.Module;
  readonly memoryBytes: number;
  /** Keys hash tables; never changes a result. */
  readonly hashSeed: bigint;
  /** First millisecond of the period; rows before it are only read for what they lead up to. */
  readonly periodMs: number;
  readonly seriesMax: number;
  readonly edgesMax: number;
  readonly operationsMax: number;
  /** Whose tables the results are for. */
  readonly kind: PeriodKind;
}

export type TableRow = Readonly<Record<string, unknown>>;

/** Rows of one published table. */
export interface ResultTable {
  readonly name: string;
  readonly rowCount: number;
  /** Column that is added up to see whether all rows arrived, and the sum that it must have. */
  readonly sumColumn: string;
  readonly sum: number;
  /** The rows without the period's key and `run_id`, in parts of bounded size; from the first each time. */
  parts(): AsyncIterable<readonly TableRow[]> | Iterable<readonly TableRow[]>;
}

/** The exact results of a period. */
export interface RunResults {
  /** Distinct items, duplicates that were removed, and those of them that differed. */
  readonly items: number;
  readonly duplicates: number;
  readonly conflicts: number;
  /** Rows of the first table. */
  readonly groups: number;
  /** Groups of too many that are one in each service: of traces, operations. @default 0 */
  readonly folded?: number;
  readonly tables: readonly ResultTable[];
}

export interface SignalBatch {
  readonly signal: Signal;
  /** What an item is called when there are many. */
  readonly items: string;
  /** Name of the WebAssembly module in `aggregator-as/build`. */
  readonly kernel: string;
  readonly memory: ShardMemory;
  /** How long before the period rows are read for what they lead up to, ms; whole hours. */
  readonly leadMs: number;
  /** Tables that day runs publish, the first one's rows counting as groups. */
  readonly tables: readonly string[];
  startWork(options: WorkOptions): ShardWork;
  /** Merges the partials of all shards, in any order, whatever their number. */
  merge(readers: readonly PartialReader[], options: MergeOptions): Promise<RunResults>;
  /** How the tables are proved. */
  readonly proofs: readonly Proof[];
  /** How the first table is compared with the speed layer's. */
  readonly drift: SignalDrift;
  /** The same of hour runs; without it there are none, because the tables of days have hours in them. */
  readonly hours?: Pick<SignalBatch, 'tables' | 'proofs'>;
}

export type MergeOptions = Pick<WorkOptions, 'seriesMax' | 'edgesMax' | 'operationsMax' | 'kind'>;
