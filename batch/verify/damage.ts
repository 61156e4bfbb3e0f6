/** Finds the file at fault when ClickHouse cannot read files of the archive: its own errors often do not name it. */
import { ClickHouseError, TidemarkError } from '../../schemas/errors.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { filesSource, type SourceSettings } from './source.ts';

/** What a query reads of the archive. */
export interface FilesRead {
  readonly clickhouse: ClickHouse;
  readonly settings: SourceSettings;
  readonly keys: readonly string[];
  readonly structure: readonly string[];
}

/**
 * Answers a query over files. Throws its `ClickHouseError`, and when one of the files is why,
 * `TidemarkError` CORRUPT_ARCHIVE with the file's name instead.
 */
export async function overFiles<T>(read: FilesRead, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof ClickHouseError) || error.retryable) throw error;
    const fault = await findFault(read);
    if (fault === undefined) throw error;
    const message = `Cannot read ${fault.key} of the archive: ${fault.reason}`;
    throw new TidemarkError('CORRUPT_ARCHIVE', message, { cause: error });
  }
}

interface Fault {
  readonly key: string;
  readonly reason: string;
}

/** The first file that cannot be read by itself, halving the list: about as much is read again as the query read. */
async function findFault(read: FilesRead): Promise<Fault | undefined> {
  let { keys } = read;
  while (keys.length > 1) {
    const half = keys.slice(0, keys.length / 2);
    const isHere = (await reasonOf(read, half)) !== undefined;
    keys = isHere ? half : keys.slice(half.length);
  }
  const [key] = keys;
  const reason = key === undefined ? undefined : await reasonOf(read, keys);
  return key === undefined || reason === undefined ? undefined : { key, reason };
}

/** Why these files cannot be read, if so. */
async function reasonOf(
  { clickhouse, settings, structure }: FilesRead,
  keys: readonly string[],
): Promise<string | undefined> {
  const sql = `SELECT * FROM ${filesSource(settings, keys, structure)} FORMAT Null`;
  return clickhouse.command(sql).then(
    () => undefined,
    (error: Error) => error.message,
  );
}
