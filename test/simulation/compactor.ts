/**
 * A compactor of the simulation: the real one (`runCompaction`, `Rewriter`), whose thread merges
 * recorded files in the place of Parquet files.
 */
import { EventEmitter } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { TidemarkError } from '../../schemas/errors.ts';
import { outputKey, replacementKey } from '../../schemas/replacement.ts';
import type { ReplacementOutput } from '../../schemas/replacement.ts';
import { readSettings } from '../../schemas/settings.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import { runCompaction } from '../../workers/compact.ts';
import type { CompactReport } from '../../workers/compact.ts';
import { Rewriter } from '../../workers/compact/rewriter.ts';
import type { RewriteRequest, RewriteTask, Rewritten } from '../../workers/compact/task.ts';
import { toFault } from '../../workers/flush/message.ts';
import { decodeFile, describeRows, encodeFile, idOf } from './recording.ts';
import type { RecordedRow } from './recording.ts';
import type { Machine } from './world.ts';

const dayMs = 86_400_000;

const nothing = () => undefined;

const settings = readSettings({
  TIDEMARK_COMPACT_FILES_MIN: '2',
  TIDEMARK_COMPACT_AFTER_MS: '0',
});

/** Compacts the period once, as if its hours were closed already. Throws as `runCompaction` does. */
export async function compactOnce(
  store: ObjectStore,
  machine: Machine,
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
): Promise<CompactReport> {
  const startThread = () => new RecordingThread(store, machine) as unknown as Worker;
  return runCompaction({
    store,
    settings,
    rewriter: new Rewriter({ store, startThread }),
    now: () => machine.clock.now() + dayMs,
    randomName: () => String(machine.world.whole(0, 1e9)),
    log: { info: nothing, warn: nothing, debug: nothing },
    signals: ['traces'],
    fromMs,
    toMs,
    codeVersion: 'simulation',
  });
}

/** Does what `workers/compact/thread.ts` does, with files of recorded rows. */
class RecordingThread extends EventEmitter {
  readonly #store: ObjectStore;
  readonly #machine: Machine;

  constructor(store: ObjectStore, machine: Machine) {
    super();
    this.#store = store;
    this.#machine = machine;
  }

  postMessage(request: RewriteRequest): void {
    if (request.type !== 'rewrite') throw new Error('Bug: only rewriting is simulated');
    this.#rewrite(request.task).then(
      (result) => this.emit('message', { type: 'rewritten', result }),
      (error: unknown) => {
        if (!(error instanceof TidemarkError)) return this.#machine.world.fail(error);
        this.emit('message', { type: 'failed', fault: toFault(error) });
      },
    );
  }

  terminate(): Promise<number> {
    return Promise.resolve(0);
  }

  async #rewrite(task: RewriteTask): Promise<Rewritten> {
    const rows: RecordedRow[] = [];
    for (const { key } of task.runs.flatMap((run) => run.files)) {
      const bytes = await this.#store.get(key);
      const message = `Cannot read "${key}": it has been deleted`;
      if (!bytes) throw new TidemarkError('OBJECT_STORE', message, { retryable: true });
      rows.push(...decodeFile(bytes));
    }
    rows.sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1));
    const taken = [...task.runs.keys()];
    const outputs: ReplacementOutput[] = [];
    const half = this.#machine.world.chance(0.5) ? rows.length : Math.ceil(rows.length / 2);
    for (let from = 0; from < rows.length; from += half) {
      const output = await this.#storeFile(task, rows.slice(from, from + half), outputs.length);
      if (!output) return { taken, outputs, overtaken: true };
      outputs.push(output);
    }
    return { taken, outputs, overtaken: false };
  }

  async #storeFile(
    { signal, hourMs, sequence, quarantined, attempt }: RewriteTask,
    rows: RecordedRow[],
    index: number,
  ): Promise<ReplacementOutput | undefined> {
    const key = outputKey(signal, hourMs, { sequence, attempt: `${attempt}-${index}` });
    const isTaken = await this.#store.head(replacementKey(signal, hourMs, sequence));
    if (isTaken !== undefined) return undefined;
    this.emit('message', { type: 'storing', key });
    const bytes = encodeFile(rows);
    await this.#store.put(key, bytes);
    const { timeMinNs, timeMaxNs, rowGroups } = describeRows(rows, hourMs);
    const times = { hourMs, timeMinNs: String(timeMinNs), timeMaxNs: String(timeMaxNs) };
    const counts = { bytes: bytes.byteLength, rows: rows.length };
    return { key, ...counts, ...times, quarantined, rowGroups };
  }
}
