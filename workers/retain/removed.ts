/** Adds up what retention takes away, by signal, event day and tenant. Only counts. */
import type { Signal } from '../../schemas/archive.ts';
import type { PeriodFile } from '../clients/commits/archive.ts';

export interface Removed {
  readonly signal: Signal;
  /** The event day, such as `2026-11-22`. */
  readonly day: string;
  /** Left out where whole files went and nobody asked whose their rows were. */
  readonly tenant?: string;
  /** Files that have such rows. */
  readonly files: number;
  readonly rows: number;
  /** Of a file that has other rows too, as large a part as the rows are. */
  readonly bytes: number;
}

type Sum = { -readonly [Name in keyof Removed]: Removed[Name] };

export class RemovedRows {
  readonly #sums = new Map<string, Sum>();

  /** Adds rows of a file, by tenant where that is known. */
  addFile(
    { signal, hourMs }: { readonly signal: Signal; readonly hourMs: number },
    file: PeriodFile,
    gone: ReadonlyMap<string | undefined, number>,
  ): void {
    const day = new Date(hourMs).toISOString().slice(0, 10);
    for (const [tenant, rows] of gone) {
      const bytes = Math.round((file.bytes * rows) / file.rows);
      this.#add({ signal, day, ...(tenant !== undefined && { tenant }), files: 1, rows, bytes });
    }
  }

  add(others: RemovedRows): void {
    for (const sum of others.#sums.values()) this.#add(sum);
  }

  /** By signal, day and tenant. */
  list(): Removed[] {
    return [...this.#sums]
      .toSorted(([left], [right]) => (left < right ? -1 : 1))
      .map(([, sum]) => sum);
  }

  #add(own: Removed): void {
    const name = `${own.signal} ${own.day} ${own.tenant ?? ''}`;
    const sum = this.#sums.get(name);
    if (sum) {
      sum.files += own.files;
      sum.rows += own.rows;
      sum.bytes += own.bytes;
    } else {
      this.#sums.set(name, { ...own });
    }
  }
}
