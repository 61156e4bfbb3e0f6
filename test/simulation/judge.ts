/**
 * Knows all that was produced, and watches the store change: every commit, file, watermark and
 * delete is held against the archive's promises at the moment when it happens. Reads only what the
 * store has; knows nothing of the code that is judged but its formats.
 */
import { archiveSpoolPrefix, parseFileKey, topics } from '../../schemas/archive.ts';
import { parseWatermarkKey } from '../../schemas/commit.ts';
import type { Commit, CommitFile } from '../../schemas/commit.ts';
import type { Replacement } from '../../schemas/replacement.ts';
import type { StoredObject, Witness } from './bucket.ts';
import { decodeFile } from './recording.ts';
import type { RecordedRow } from './recording.ts';
import { Violation } from './world.ts';

/** A request that was sent to the archive. */
export interface Produced {
  readonly id: number;
  /** Kafka partition number, or `spool`. */
  readonly place: string;
  readonly receivedMs: number;
  /** Starts of its items' hours; -1 for a wild time. Of a broken request none. */
  readonly hours: readonly number[];
  readonly isBroken: boolean;
  /** In Kafka. */
  readonly offset?: number;
  /** In the spool. */
  readonly key?: string;
  isCommitted: boolean;
  /** Retention took it from Kafka before it was committed: it may be missing. */
  isGone: boolean;
}

const topic = topics.traces;
export const spoolPrefix = archiveSpoolPrefix(topic);

export class Judge implements Witness {
  readonly produced: Produced[] = [];
  /** Requests that must still be committed. */
  outstanding = 0;
  /** By place, oldest first. */
  readonly commits = new Map<string, Commit[]>();
  /** Files that count, by key. */
  readonly live = new Map<string, CommitFile>();
  objects: ReadonlyMap<string, StoredObject> = new Map();
  readonly #atOffset = new Map<string, Produced>();
  readonly #atKey = new Map<string, Produced>();
  readonly #byId = new Map<number, Produced>();
  readonly #items = new Set<string>();
  /** When files were replaced, by their keys, in the world's time. */
  readonly #replacedMs = new Map<string, number>();
  /** Numbers of hours' newest replacements, by folder. */
  readonly #sequences = new Map<string, number>();
  readonly now: () => number;
  readonly #graceMs: number;
  readonly #promisedMs = new Map<string, number>();

  /** Replaced files must stay for `graceMs`. */
  constructor(now: () => number, graceMs: number) {
    this.now = now;
    this.#graceMs = graceMs;
  }

  add(request: Produced): void {
    const promisedMs = this.#promisedMs.get(request.place) ?? 0;
    if (request.receivedMs < promisedMs) {
      throw new Violation(`a watermark of ${request.place} promised what comes only now`);
    }
    this.produced.push(request);
    this.#byId.set(request.id, request);
    if (request.offset !== undefined) {
      this.#atOffset.set(`${request.place}/${request.offset}`, request);
    }
    if (request.key !== undefined) this.#atKey.set(request.key, request);
    this.outstanding += 1;
  }

  /** Retention has taken it. */
  remove(request: Produced): void {
    if (request.isGone || request.isCommitted) return;
    request.isGone = true;
    this.outstanding -= 1;
  }

  putting(key: string, bytes: Uint8Array, by: string): void {
    const existing = this.objects.get(key);
    const isSame = existing !== undefined && Buffer.compare(existing.bytes, bytes) === 0;
    if (existing && !isSame) throw new Violation(`${by} overwrote ${key}`);
    if (key.startsWith('_commits/')) {
      if (existing) throw new Violation(`${by} stored the commit ${key} twice`);
      this.#commit(JSON.parse(new TextDecoder().decode(bytes)) as Commit);
    }
    if (key.startsWith('_replacements/')) {
      if (existing) throw new Violation(`${by} stored the replacement ${key} twice`);
      this.#replace(key, JSON.parse(new TextDecoder().decode(bytes)) as Replacement);
    }
    if (key.startsWith('_watermarks/')) {
      const place = key.split('/')[2] ?? '';
      this.#promise(place, parseWatermarkKey(key) ?? 0, key);
    }
  }

  deleting(key: string, by: string): void {
    if (/^_(commits|dead|replacements)\//.test(key)) throw new Violation(`${by} deleted ${key}`);
    if (this.isLive(key)) throw new Violation(`${by} deleted the live file ${key}`);
    const replacedMs = this.#replacedMs.get(key);
    if (replacedMs !== undefined && this.now() - replacedMs < this.#graceMs) {
      throw new Violation(
        `${by} deleted ${key} ${this.now() - replacedMs} ms after it was replaced`,
      );
    }
    if (!key.startsWith(spoolPrefix)) return;
    if (this.#atKey.get(key)?.isCommitted !== true) {
      throw new Violation(`${by} deleted ${key}, which no commit names`);
    }
  }

  isLive(key: string): boolean {
    return this.live.has(key);
  }

  /** A file that was replaced may be gone for a reader that began long ago. */
  mayBeGone(key: string, beganMs: number): boolean {
    return this.#replacedMs.has(key) && this.now() - beganMs >= this.#graceMs;
  }

  /** Items that a reader of the whole archive must see now, as `id#index`. */
  items(): ReadonlySet<string> {
    return this.#items;
  }

  request(id: number): Produced | undefined {
    return this.#byId.get(id);
  }

  #commit(commit: Commit): void {
    const place = commit.partition;
    const earlier = this.commits.get(place) ?? [];
    const next = earlier.at(-1)?.nextOffset ?? '0';
    const name = `the commit at ${commit.firstOffset} of ${place}`;
    if (commit.firstOffset !== next) throw new Violation(`${name} does not follow on ${next}`);
    if (BigInt(commit.nextOffset) <= BigInt(commit.firstOffset)) {
      throw new Violation(`${name} holds nothing`);
    }
    this.commits.set(place, [...earlier, commit]);
    const rows = commit.files.flatMap((file) => this.#file(name, commit, file));
    if (rows.length !== commit.rows) throw new Violation(`${name} counts its rows wrongly`);
    const found = new Set<string>();
    for (const [, , index, id] of rows) {
      const item = `${id}#${index}`;
      if (this.#items.has(item) || found.has(item)) throw new Violation(`${name} repeats ${item}`);
      found.add(item);
    }
    for (const request of this.#requestsOf(name, commit)) {
      this.#settle(name, request, found);
    }
    if (found.size > 0) throw new Violation(`${name} has items of other offsets: ${[...found][0]}`);
    this.#promise(place, commit.watermarkMs, name);
  }

  #replace(key: string, replacement: Replacement): void {
    const { hourMs, sequence, inputs, outputs } = replacement;
    const folder = key.slice(0, key.lastIndexOf('/'));
    if (sequence !== (this.#sequences.get(folder) ?? 0) + 1) throw new Violation(`gap at ${key}`);
    this.#sequences.set(folder, sequence);
    const before = inputs.flatMap((input) => {
      const file = this.live.get(input.key);
      if (!file) throw new Violation(`${key} replaces ${input.key}, which does not count`);
      return this.#itemsOf(key, file);
    });
    const after = outputs.flatMap((output) => {
      if (output.hourMs !== hourMs) throw new Violation(`${key} moves rows to another hour`);
      return this.#itemsOf(key, output);
    });
    if (before.toSorted().join() !== after.toSorted().join()) {
      throw new Violation(`${key} changes what is there`);
    }
    for (const input of inputs) {
      this.live.delete(input.key);
      this.#replacedMs.set(input.key, this.now());
    }
    for (const output of outputs) this.live.set(output.key, output);
  }

  #itemsOf(name: string, file: CommitFile): string[] {
    const bytes = this.objects.get(file.key)?.bytes;
    if (bytes?.byteLength !== file.bytes) throw new Violation(`${name} names a file not there`);
    return decodeFile(bytes).map(([, , index, id]) => `${id}#${index}`);
  }

  #file(name: string, commit: Commit, file: CommitFile): RecordedRow[] {
    const parts = parseFileKey(file.key);
    const bytes = this.objects.get(file.key)?.bytes;
    if (!bytes) throw new Violation(`${name} names ${file.key}, which is not there`);
    if (bytes.byteLength !== file.bytes) throw new Violation(`${file.key} has another size`);
    if (
      String(parts?.firstOffset) !== commit.firstOffset ||
      parts?.partition !== commit.partition
    ) {
      throw new Violation(`${name} names the file of another commit`);
    }
    const rows = decodeFile(bytes);
    if (rows.length !== file.rows) throw new Violation(`${file.key} has other rows`);
    for (const row of rows) this.#row(name, commit, file, row);
    this.live.set(file.key, file);
    return rows;
  }

  #row(name: string, commit: Commit, file: CommitFile, row: RecordedRow): void {
    const [partition, offset, index, id] = row;
    const request = this.#byId.get(id);
    const hour = request?.hours[index];
    const isPlaced = partition === (commit.partition === 'spool' ? -1 : Number(commit.partition));
    const isInRange = offset >= Number(commit.firstOffset) && offset < Number(commit.nextOffset);
    const isInHour = hour === -1 ? file.quarantined : hour === file.hourMs && !file.quarantined;
    if (!isPlaced || !isInRange || !isInHour) {
      throw new Violation(`${name} has item ${id}#${index} in a place that is not its own`);
    }
  }

  /** What the commit takes out of its source, by its own words. */
  #requestsOf(name: string, commit: Commit): Produced[] {
    const [first, next] = [Number(commit.firstOffset), Number(commit.nextOffset)];
    if (commit.partition === 'spool') {
      if (commit.spoolKeys.length !== next - first) throw new Violation(`${name} miscounts keys`);
      return commit.spoolKeys.map((key) => {
        const request = this.#atKey.get(key);
        if (!request) throw new Violation(`${name} names ${key}, which nobody sent`);
        if (request.isCommitted) throw new Violation(`${name} takes ${key} a second time`);
        return request;
      });
    }
    const requests: Produced[] = [];
    for (let offset = first; offset < next; offset += 1) {
      const request = this.#atOffset.get(`${commit.partition}/${offset}`);
      if (request) requests.push(request);
    }
    return requests;
  }

  #settle(name: string, request: Produced, found: Set<string>): void {
    const items = request.hours.map((_, index) => `${request.id}#${index}`);
    const there = items.filter((item) => found.delete(item));
    const isWhole = request.isBroken ? this.#isDead(request) : there.length === items.length;
    const mayMiss = request.isGone && there.length === 0;
    if (!isWhole && !mayMiss) {
      throw new Violation(`${name} lacks request ${request.id}: ${there.length} of its items`);
    }
    for (const item of there) this.#items.add(item);
    if (!request.isGone) this.outstanding -= 1;
    request.isCommitted = true;
  }

  #isDead({ place, offset, key }: Produced): boolean {
    const kafkaName = `${place}+${String(offset).padStart(19, '0')}`;
    const name = key === undefined ? kafkaName : key.split('/').at(-1);
    return [name, `${name}.json`].every((each) => this.objects.has(`_dead/${topic}/${each}`));
  }

  #promise(place: string, watermarkMs: number, name: string): void {
    const broken = this.produced.find(
      (request) =>
        request.place === place &&
        request.receivedMs < watermarkMs &&
        !request.isCommitted &&
        !request.isGone,
    );
    if (broken)
      throw new Violation(`${name} promises request ${broken.id}, which is not committed`);
    this.#promisedMs.set(place, Math.max(this.#promisedMs.get(place) ?? 0, watermarkMs));
  }
}
