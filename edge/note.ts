/**
 * The edge's books: gathers notes of what became of requests and writes them to ClickHouse, many at a
 * time, else to the spool, from where the drain takes them. What neither takes is kept up to a bound
 * and tried again. It never holds up a request, unless it is told to write before the answer.
 */
import { speedSpoolPrefix, spoolName } from '../schemas/archive.ts';
import type { SpoolKeyParts } from '../schemas/archive.ts';
import { noteGatherMsMax, notesKeptMax, notesPerInsert } from '../schemas/limits.ts';
import { noteLine, noteTable } from '../schemas/note.ts';
import type { Note } from '../schemas/note.ts';
import type { Settings } from '../schemas/settings.ts';
import { gateOf } from './gate.ts';
import { insertRows } from './insert.ts';
import type { InsertSettings, InsertTools } from './insert.ts';
import { spool } from './spool.ts';
import type { SpoolTools } from './spool.ts';

export interface NoteTools extends InsertTools, SpoolTools {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Resolves after so many milliseconds; without it notes wait until they are asked for. */
  readonly pause?: (ms: number) => Promise<void>;
}

export type NoteSettings = InsertSettings & Pick<Settings, 'TIDEMARK_LEDGER_MS'>;

/** The notes of one isolate that are not stored yet. */
export class Notes {
  readonly #settings: NoteSettings;
  readonly #tools: NoteTools;
  #waiting: Note[] = [];
  /** Since when somebody waits to write them. */
  #gatheringSinceMs = Number.NEGATIVE_INFINITY;

  constructor(settings: NoteSettings, tools: NoteTools) {
    this.#settings = settings;
    this.#tools = tools;
  }

  /**
   * Takes a note; past the bound the oldest are lost, and counted. Gives what the answer has to wait for, if the
   * setting says so.
   */
  add(note: Note): Promise<void> | undefined {
    this.#waiting.push(note);
    this.#bound();
    return this.#settings.TIDEMARK_LEDGER_MS === 0 ? this.write() : undefined;
  }

  /**
   * What the request of the last note is to be kept alive for, if for anything: one of them waits and writes the
   * notes of all. Never rejects. Should that one's context end before, another takes its place.
   */
  settle(): Promise<void> | undefined {
    const { pause, now } = this.#tools;
    if (pause === undefined || this.#waiting.length === 0) return undefined;
    if (this.#waiting.length >= notesPerInsert) return this.write();
    if (now() - this.#gatheringSinceMs < noteGatherMsMax) return undefined;
    this.#gatheringSinceMs = now();
    return pause(this.#settings.TIDEMARK_LEDGER_MS).then(() => this.write());
  }

  /** Writes what is there. Never rejects: what cannot be written waits for the next time. */
  async write(): Promise<void> {
    this.#gatheringSinceMs = Number.NEGATIVE_INFINITY;
    const notes = this.#waiting;
    const [first] = notes;
    if (first === undefined) return;
    this.#waiting = [];
    const bytes = new TextEncoder().encode(notes.map(noteLine).join(''));
    // Names these notes: more of them, begun with the same one, are another insert.
    const requestId = `${first.requestId}-${notes.length}`;
    const outcome = await this.#store({ ...first, requestId }, bytes);
    this.#tools.meter.add('notes_total', notes.length, `result="${outcome}"`);
    if (outcome !== 'failed') return;
    this.#waiting = [...notes, ...this.#waiting];
    this.#bound();
  }

  async #store(names: SpoolKeyParts, bytes: Uint8Array): Promise<'ok' | 'spooled' | 'failed'> {
    try {
      await insertRows(noteTable, bytes, names.requestId, this.#settings, this.#tools);
      return 'ok';
    } catch (error) {
      this.#tools.warn(error instanceof Error ? error.message : 'Cannot write notes');
    }
    const key = `${speedSpoolPrefix(noteTable)}${spoolName(names)}`;
    try {
      await spool('speed_spool', key, () => bytes, gateOf(1), this.#settings, this.#tools);
      return 'spooled';
    } catch {
      // `spool` has said why.
      return 'failed';
    }
  }

  #bound(): void {
    const over = this.#waiting.length - notesKeptMax;
    if (over <= 0) return;
    this.#waiting.splice(0, over);
    this.#tools.meter.add('notes_total', over, 'result="lost"');
  }
}
