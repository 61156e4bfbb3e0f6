/** Numbers for the strings of a shard: the kernel compares codes, never text. */
import { TidemarkError } from '../../schemas/errors.ts';

/** Gives each distinct string the next number, from 0. */
export class Names {
  readonly #ids = new Map<string, number>();
  readonly #max: number;
  readonly #what: string;

  /** `what` names the strings in the error when there are more than `max`. */
  constructor(what: string, max: number) {
    this.#what = what;
    this.#max = max;
  }

  /** The number of `text`. Throws `TidemarkError` CAPACITY past the bound. */
  id(text: string): number {
    const known = this.#ids.get(text);
    if (known !== undefined) return known;
    const id = this.#ids.size;
    if (id >= this.#max) {
      throw new TidemarkError(
        'CAPACITY',
        `Cannot number one more ${this.#what}: ${this.#max} are known, the limit of a shard`,
      );
    }
    this.#ids.set(text, id);
    return id;
  }

  /** The strings by number. */
  values(): string[] {
    return [...this.#ids.keys()];
  }
}
