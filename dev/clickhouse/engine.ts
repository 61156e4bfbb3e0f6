/**
 * The ClickHouse engine inside this process: a data directory and the sessions that run statements on
 * it at once. It knows nothing of HTTP, and it never changes a statement.
 */
import { accessSync, constants, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Session } from 'chdb';
import { ClickHouseError, TidemarkError } from '../../schemas/errors.ts';
import {
  clickHouseInsertsMax,
  clickHouseMergeNice,
  clickHouseQueriesMax,
  clickHouseResultBytesMax,
  clickHouseWaitingMax,
} from '../../schemas/limits/dev.ts';
import { engineFault, fault } from './fault.ts';

export interface EngineTask {
  readonly sql: string;
  /** Output format when the statement names none. */
  readonly format: string;
  /** `SET …` and `USE …` that come first. They end with the task: its session is thrown away. */
  readonly setup: readonly string[];
  /** Whether the statement leaves the session as it was, so that another task may have it. */
  readonly keepsSession: boolean;
  readonly lane: 'query' | 'insert';
}

export interface EngineResult {
  readonly bytes: Uint8Array;
  readonly rowsRead: number;
  readonly bytesRead: number;
}

/**
 * What differs from the defaults of the embedded engine. A body goes in as one block (one part a
 * partition, parsed before anything is written), so that a failed insert leaves nothing behind.
 */
const sessionArguments: readonly string[] = [
  '--implicit_select=0',
  '--max_insert_block_size=1000000000000',
  '--min_insert_block_size_rows=1000000000000',
  '--min_insert_block_size_bytes=1000000000000',
  `--max_result_bytes=${clickHouseResultBytesMax}`,
  // What must be seen at once comes first: merges give way, and skip indexes are made by them.
  '--materialize_skip_indexes_on_insert=0',
  '--background_pool_size=2',
  `--os_threads_nice_value_merge_mutate=${clickHouseMergeNice}`,
];

/** One lane: at most `runningMax` tasks at once, the others in order. */
class Lane {
  #running = 0;
  readonly #runningMax: number;
  readonly #waiting: (() => void)[] = [];

  constructor(runningMax: number) {
    this.#runningMax = runningMax;
  }

  /** Throws `ClickHouseError` 202 when too many wait already. */
  async enter(): Promise<void> {
    if (this.#running < this.#runningMax) {
      this.#running += 1;
      return;
    }
    if (this.#waiting.length >= clickHouseWaitingMax) {
      throw fault(
        202,
        'TOO_MANY_SIMULTANEOUS_QUERIES',
        `Too many simultaneous queries. Maximum: ${clickHouseWaitingMax} waiting`,
      );
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running -= 1;
    else next();
  }
}

/** A data directory that this process has opened. One process holds one at most. */
export class Engine {
  readonly #path: string;
  readonly #arguments: readonly string[];
  readonly #anchor: Session;
  readonly #idle: Session[] = [];
  readonly #lanes = {
    query: new Lane(clickHouseQueriesMax),
    insert: new Lane(clickHouseInsertsMax),
  };

  /**
   * Opens the engine's files under `dataDir`, creating them on need. `configPath` is a configuration as
   * clickhouse-local reads it, which may name users and what they may do. Throws `TidemarkError`
   * DATA_DIRECTORY when it cannot be written or another process holds it.
   */
  constructor(dataDir: string, configPath?: string) {
    this.#arguments =
      configPath === undefined
        ? sessionArguments
        : [...sessionArguments, `--config-file=${configPath}`];
    this.#path = join(dataDir, 'engine');
    makeWritable(dataDir, this.#path);
    try {
      this.#anchor = this.#open();
    } catch (error) {
      throw new TidemarkError('DATA_DIRECTORY', whyClosed(dataDir, this.#path), { cause: error });
    }
  }

  /** Runs one statement. Throws `ClickHouseError` with the engine's code and text. */
  async run(task: EngineTask): Promise<EngineResult> {
    const lane = this.#lanes[task.lane];
    await lane.enter();
    try {
      return await this.#runInSession(task);
    } catch (error) {
      throw error instanceof ClickHouseError ? error : engineFault(error, this.#path);
    } finally {
      lane.leave();
    }
  }

  /** Closes all sessions. Nothing may be running any more. */
  close(): void {
    for (const session of this.#idle.splice(0)) session.close();
    this.#anchor.close();
  }

  async #runInSession(task: EngineTask): Promise<EngineResult> {
    const isClean = task.setup.length === 0 && task.keepsSession;
    const session = (isClean ? this.#idle.pop() : undefined) ?? this.#open();
    try {
      for (const sql of task.setup) await session.queryAsync(sql);
      const result = await session.queryAsync(task.sql, { format: task.format });
      return { bytes: result.bytes(), rowsRead: result.rowsRead, bytesRead: result.bytesRead };
    } finally {
      if (isClean) this.#idle.push(session);
      else session.close();
    }
  }

  #open(): Session {
    return new Session(this.#path, { connectionArgs: this.#arguments });
  }
}

function makeWritable(dataDir: string, path: string): void {
  try {
    mkdirSync(path, { recursive: true });
    accessSync(path, constants.W_OK);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TidemarkError(
      'DATA_DIRECTORY',
      `Cannot use data directory "${dataDir}": it is not writable (${reason})`,
      { cause: error },
    );
  }
}

/** The engine does not say why it did not open; its lock file names the process that holds it. */
function whyClosed(dataDir: string, path: string): string {
  let holder = '';
  try {
    holder = /^PID: (\d+)/m.exec(readFileSync(join(path, 'status'), 'utf8'))?.[1] ?? '';
  } catch {
    return `Cannot use data directory "${dataDir}": the engine cannot open it`;
  }
  return `Cannot use data directory "${dataDir}": another process has it open (PID ${holder})`;
}
