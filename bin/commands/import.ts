/** `tidemark import`: export files → requests → the archive spool. What is done once is in `workers/`. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { tenantPattern, topics } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import { SettingError, TidemarkError } from '../../schemas/errors.ts';
import * as limits from '../../schemas/limits/replay.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import type { Import, ImportRequest } from '../../workers/import.ts';
import type { Context } from '../context.ts';
import { settingsOf } from '../context.ts';
import type { FileRecord } from '../import/records.ts';
import type { Requests } from '../import/requests.ts';
import { CommandFailed } from '../outcome.ts';

interface Flags {
  readonly tenant?: string;
  readonly signal?: Signal;
  readonly keepGoing?: boolean;
  readonly json?: boolean;
}

export interface ImportReport {
  files: number;
  /** Files that were imported whole before. */
  filesKnown: number;
  records: number;
  /** Requests that were put into the spool, and those that are there or in the archive already. */
  spooled: number;
  known: number;
  /** Records without items. */
  empty: number;
  faults: number;
  /** The first of them, as `file: place: reason`. */
  firstFaults: string[];
}

const help = `
Takes what the Collector's file exporter writes: JSON lines, or protobuf in frames of a length of
four bytes, each with or without zstd; files compressed as a whole; and single requests, one a file,
JSON or protobuf. What a file is shows in its bytes, and so does the signal.

Requests go to the archive spool in the bucket, where an archiver (tidemark archive) takes them;
they count as received at the latest time of their items. Running it again, after it was stopped or
because a file has grown, spools nothing that is in the spool or in the archive already. Not so when
two imports of one file run at the same time, and for a request that stands in two files: the
archive then has it twice, and the batch removes it like any that was delivered twice.

Examples:
  tidemark import traces.jsonl metrics.jsonl
  tidemark import /var/lib/otelcol/export*.zst --tenant acme --keep-going
  tidemark import request.otlp --signal logs --json`;

/** The command; exit code 1 when a record could not be imported. */
export function importCommand(context: Context): Command {
  return new Command('import')
    .description("put export files of the Collector's file exporter into the archive")
    .argument('<files...>', 'files to read')
    .option('--tenant <id>', 'whose items they are (TIDEMARK_TENANT)')
    .addOption(
      new Option('--signal <signal>', 'what protobuf files hold').choices(Object.keys(topics)),
    )
    .option('--keep-going', 'go on behind what cannot be read')
    .option('--json', 'print the result as one line of JSON')
    .addHelpText('after', help)
    .action((files: string[], flags: Flags) => run(context, files, flags));
}

async function run(context: Context, files: readonly string[], flags: Flags): Promise<void> {
  const settings = settingsOf(context);
  const tenantId = flags.tenant ?? settings.TIDEMARK_TENANT;
  if (!tenantPattern.test(tenantId)) {
    throw new SettingError('--tenant', `Cannot use tenant "${tenantId}": not a name of one`);
  }
  for (const file of files) await assertReadable(file);
  const { openStore } = await import('../../workers/clients/store/objects.ts');
  const { Requests: RequestsClass } = await import('../import/requests.ts');
  const store = openStore(settings);
  const report = emptyReport(files.length);
  try {
    for (const file of files) {
      const requests = new RequestsClass(flags.signal, context.now());
      await new FileImport(context, store, { file, tenantId, flags, requests, report }).run();
    }
  } finally {
    store.close();
    context.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : describe(report));
  }
  if (report.faults === 0) return;
  throw new CommandFailed(
    `Cannot import ${report.faults} records: ${report.firstFaults.join('; ')}`,
  );
}

/** A name that is misspelt is known before anything is spooled. Throws `SettingError`. */
async function assertReadable(file: string): Promise<void> {
  let reason = 'it is no file';
  try {
    const opened = await open(file, 'r');
    const isDirectory = (await opened.stat()).isDirectory();
    await opened.close();
    if (!isDirectory) return;
  } catch (error) {
    reason = error instanceof Error ? error.message : String(error);
  }
  const text = `Cannot read "${file}": ${reason}; nothing was imported`;
  throw new SettingError('files', text);
}

function emptyReport(files: number): ImportReport {
  const counts = { filesKnown: 0, records: 0, spooled: 0, known: 0, empty: 0, faults: 0 };
  return { files, ...counts, firstFaults: [] };
}

interface FileOptions {
  readonly file: string;
  readonly tenantId: string;
  readonly flags: Flags;
  readonly requests: Requests;
  readonly report: ImportReport;
}

/** The import of one file. */
class FileImport {
  readonly #context: Context;
  readonly #store: ObjectStore;
  readonly #options: FileOptions;
  #waiting: ImportRequest[] = [];
  #waitingBytes = 0;
  #printedMs: number;

  constructor(context: Context, store: ObjectStore, options: FileOptions) {
    this.#context = context;
    this.#store = store;
    this.#options = options;
    this.#printedMs = context.now();
  }

  async run(): Promise<void> {
    const { report } = this.#options;
    const faultsBefore = report.faults;
    const { mtimeMs } = await this.#named('', () => stat(this.#options.file));
    const opened = await this.#open();
    if (!opened) return;
    if (opened.isDone) {
      report.filesKnown += 1;
      return;
    }
    await this.#guarded('', async () => {
      for await (const record of await this.#records()) {
        this.#context.signal.throwIfAborted();
        report.records += 1;
        await this.#guarded(record.where, () => this.#record(opened, record, mtimeMs));
        this.#progress();
      }
    });
    await this.#flush(opened);
    if (report.faults === faultsBefore) await opened.finish();
  }

  async #records(): Promise<AsyncIterable<FileRecord>> {
    const { readRecords } = await import('../import/records.ts');
    return readRecords(this.#options.file);
  }

  /** `undefined` for a file without a record, or one that cannot be read. */
  async #open(): Promise<Import | undefined> {
    const { file, tenantId } = this.#options;
    const { openImport } = await import('../../workers/import.ts');
    let first: FileRecord | undefined;
    await this.#guarded('', async () => {
      for await (const record of await this.#records()) {
        first = record;
        break;
      }
    });
    if (!first) return undefined;
    const beginning = createHash('sha256').update(first.bytes).digest('hex');
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(file)) hash.update(chunk as Uint8Array);
    const named = { hash: hash.digest('hex'), beginning, tenantId };
    return await openImport(this.#store, named, this.#context.now, {
      signal: this.#context.signal,
    });
  }

  async #record(opened: Import, record: FileRecord, mtimeMs: number): Promise<void> {
    const made = this.#options.requests.of(record, Math.floor(mtimeMs));
    if (made.length === 0) this.#options.report.empty += 1;
    for (const request of made) {
      this.#waiting.push(request);
      this.#waitingBytes += request.request.length;
      const isFull = this.#waitingBytes >= limits.importObjectBytesMax * 4;
      if (isFull || this.#waiting.length >= limits.importPutsMax) await this.#flush(opened);
    }
  }

  async #flush(opened: Import): Promise<void> {
    const { report } = this.#options;
    const waiting = this.#waiting;
    [this.#waiting, this.#waitingBytes] = [[], 0];
    const put = await Promise.all(waiting.map((request) => opened.put(request)));
    report.spooled += put.filter((isNew) => isNew).length;
    report.known += put.filter((isNew) => !isNew).length;
  }

  /** Notes a fault of the file's bytes and goes on behind it, if that is wanted. */
  async #guarded(where: string, task: () => Promise<void>): Promise<void> {
    const { report, flags } = this.#options;
    try {
      await this.#named(where, task);
    } catch (error) {
      const isOfFile =
        error instanceof TidemarkError && ['BAD_OTLP', 'BAD_ENCODING'].includes(error.code);
      if (!isOfFile || !flags.keepGoing) throw error;
      report.faults += 1;
      if (report.firstFaults.length < limits.importFaultsListedMax) {
        report.firstFaults.push(error.message);
      }
      this.#context.stderr.write(`${error.message}\n`);
    }
  }

  /** Puts the file's name and the place in front of the message of its faults. */
  async #named<T>(where: string, task: () => Promise<T>): Promise<T> {
    const { file } = this.#options;
    try {
      return await task();
    } catch (cause) {
      if (cause instanceof Error && 'syscall' in cause) {
        throw new CommandFailed(`Cannot read "${file}": ${cause.message}`);
      }
      if (!(cause instanceof TidemarkError)) throw cause;
      if (!['BAD_OTLP', 'BAD_ENCODING'].includes(cause.code)) throw cause;
      if (cause.message.startsWith(`${file}: `)) throw cause;
      const text = [file, where, cause.message].filter((part) => part !== '').join(': ');
      throw new TidemarkError(cause.code, text, { cause });
    }
  }

  #progress(): void {
    const nowMs = this.#context.now();
    if (nowMs - this.#printedMs < progressMs) return;
    this.#printedMs = nowMs;
    const { records, spooled, known } = this.#options.report;
    const text = `${records} records read, ${spooled} requests spooled, ${known} known`;
    this.#context.stderr.write(`${this.#options.file}: ${text}\n`);
  }
}

const progressMs = 2000;

function describe(report: ImportReport): string {
  const { files, filesKnown, records, spooled, known, empty, faults } = report;
  const again = filesKnown > 0 ? ` (${filesKnown} imported before)` : '';
  const more = [
    known > 0 ? `, ${known} known already` : '',
    empty > 0 ? `, ${empty} records without items` : '',
    faults > 0 ? `, ${faults} that cannot be read` : '',
  ].join('');
  const text = `Read ${records} records of ${files} files${again}: ${spooled} requests spooled${more}`;
  return `${text}\n`;
}
