/**
 * Makes a batch durable: through the group of its signal near the client when group commit is on,
 * else by the legs at once. It never does both for one batch.
 */
import type { Signal } from '../schemas/archive.ts';
import { errorCodes, TidemarkError } from '../schemas/errors.ts';
import type { ErrorCode } from '../schemas/errors.ts';
import type { Settings } from '../schemas/settings.ts';
import type { Batch, FreshBatch, Stored } from './fanout.ts';
import { otlpBytes } from './commit/group.ts';
import type { Grouped } from './commit/group.ts';
import { copyOf } from './lend.ts';
import type { Meter, MeterReading } from './meter.ts';

/** What a group answers: an error's class does not survive the way between two objects. */
export type GroupAnswer =
  | (Grouped & { readonly reading: MeterReading })
  | { readonly fault: { readonly code: string; readonly message: string } };

/** The Durable Object's side, as `index.ts` has it. */
export interface GroupStub {
  add(batch: Batch): Promise<GroupAnswer>;
}

/** The part of a Durable Object namespace that is used. */
export interface GroupNamespace {
  getByName(name: string): GroupStub;
}

export interface CommitTools {
  readonly groups: GroupNamespace | undefined;
  readonly direct: (batch: FreshBatch) => Promise<Stored>;
  readonly meter: Meter;
}

/** How one request is stored, by itself or in its group. */
export type Committed = Omit<Grouped, 'requests'>;

type CommitSettings = Pick<Settings, 'TIDEMARK_GROUP_MS' | 'TIDEMARK_GROUP_BYTES_MAX'>;

/**
 * Returns when the batch is durable in both legs. `region` names the place of the client, which is asked
 * for only where there are groups: telling it costs. Throws SINK_FAILED and OVERLOADED, retryable.
 */
export async function commit(
  batch: FreshBatch,
  region: () => string,
  settings: CommitSettings,
  tools: CommitTools,
): Promise<Committed> {
  const isLarge = otlpBytes(batch) * 2 > settings.TIDEMARK_GROUP_BYTES_MAX;
  if (settings.TIDEMARK_GROUP_MS === 0 || tools.groups === undefined || isLarge) {
    const recordedMs = batch.parts[0]?.parts.receivedMs ?? 0;
    return { ...(await tools.direct(batch)), recordedMs, isCopy: false };
  }
  const answer = await ask(tools.groups, batch, region());
  if ('fault' in answer) throw faultOf(answer.fault);
  tools.meter.merge(answer.reading);
  if (answer.requests > 0) {
    tools.meter.add('groups_total', 1, `signal="${batch.signal}"`);
    tools.meter.add('grouped_requests_total', answer.requests, `signal="${batch.signal}"`);
  }
  const { token, isDoubtful, recordedMs, isCopy } = answer;
  return { token, isDoubtful, recordedMs, isCopy };
}

/** Groups are apart by signal and place, so that a group is near its clients. */
export function groupName(signal: Signal, region: string): string {
  return `${signal}:${region}`;
}

async function ask(
  groups: GroupNamespace,
  batch: FreshBatch,
  region: string,
): Promise<GroupAnswer> {
  try {
    return await groups.getByName(groupName(batch.signal, region)).add(compact(batch));
  } catch (cause) {
    // The object was reset or has too much to do: whether the batch is stored is not known.
    throw new TidemarkError('SINK_FAILED', 'Cannot reach the group of this batch: send it again', {
      cause,
      retryable: true,
    });
  }
}

/** A view travels with all of the buffer that it looks at: what it shows is copied out. */
function compact(batch: FreshBatch): Batch {
  return {
    signal: batch.signal,
    parts: batch.parts.map((part) => ({ ...part, otlp: tight(copyOf(part.otlp)) })),
    tables: batch.tables.map((table) => ({ ...table, rows: tight(copyOf(table.rows)) })),
  };
}

function tight(bytes: Uint8Array): Uint8Array {
  return bytes.buffer.byteLength === bytes.byteLength ? bytes : bytes.slice();
}

function faultOf({ code, message }: { code: string; message: string }): TidemarkError {
  const known = errorCodes.find((each): each is ErrorCode => each === code);
  return new TidemarkError(known ?? 'SINK_FAILED', message, { retryable: true });
}
