/** What the thread that rewrites files is told, and what it answers. Types only. */
import type { Signal } from '../../schemas/archive.ts';
import type { ReplacementOutput } from '../../schemas/replacement.ts';
import type { TenantFilter } from '../../schemas/retention.ts';
import type { Fault } from '../flush/message.ts';
import type { InputFile } from './read.ts';

/** Files whose ids ascend from one to the next: of one commit, or of one replacement. */
export interface SortedRun {
  readonly files: readonly InputFile[];
}

/** Files of one hour to merge into new ones. */
export interface RewriteTask {
  readonly signal: Signal;
  readonly hourMs: number;
  readonly quarantined: boolean;
  readonly runs: readonly SortedRun[];
  /** Number of the replacement that the outputs are for. */
  readonly sequence: number;
  /** Random: part of the outputs' keys. */
  readonly attempt: string;
  /** Decoded bytes to hold of the inputs. */
  readonly memoryBytes: number;
  /** Size from which on an output is closed and another one begun. */
  readonly fileBytes: number;
  /** Rows that do not stay are left out. */
  readonly filter?: TenantFilter | undefined;
}

export interface Rewritten {
  /** Indexes of the runs whose rows the outputs hold: as many as memory has room for. */
  readonly taken: readonly number[];
  readonly outputs: readonly ReplacementOutput[];
  /** True when somebody else has the number by now: the outputs can never count. */
  readonly overtaken: boolean;
}

export type RewriteRequest =
  | { readonly type: 'rewrite'; readonly task: RewriteTask }
  /** Asks which tenants a file has rows of. */
  | { readonly type: 'tenants'; readonly file: InputFile };

export type RewriteReply =
  /** A file of this key is about to be stored. */
  | { readonly type: 'storing'; readonly key: string }
  | { readonly type: 'rewritten'; readonly result: Rewritten }
  /** Rows by tenant. */
  | { readonly type: 'tenants'; readonly rows: ReadonlyMap<string, number> }
  | { readonly type: 'failed'; readonly fault: Fault };
