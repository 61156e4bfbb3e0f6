/**
 * Keeps answers for a while, the ones that were asked for last, within a bound of bytes; who asks for what
 * is being looked up waits for the same answer. It knows nothing of what the answers are.
 */

export interface Kept {
  /** What it weighs among the answers that are kept. */
  readonly bytes: number;
  /** How long it is good for. */
  readonly forMs: number;
}

export class AnswerCache<Answer extends Kept> {
  readonly #bytesMax: number;
  readonly #now: () => number;
  readonly #answers = new Map<string, { readonly answer: Answer; readonly untilMs: number }>();
  readonly #underWay = new Map<string, Promise<Answer>>();
  #bytes = 0;

  /** `now` is in milliseconds. */
  constructor(bytesMax: number, now: () => number) {
    this.#bytesMax = bytesMax;
    this.#now = now;
  }

  /** The answer that is kept under `key`, or `find`'s, which is kept unless it throws. */
  async get(key: string, find: () => Promise<Answer>): Promise<Answer> {
    const kept = this.#answers.get(key);
    if (kept && kept.untilMs > this.#now()) {
      // Last in the map is what was asked for last.
      this.#answers.delete(key);
      this.#answers.set(key, kept);
      return kept.answer;
    }
    const underWay = this.#underWay.get(key);
    if (underWay) return await underWay;
    const finding = find();
    this.#underWay.set(key, finding);
    try {
      const answer = await finding;
      this.#keep(key, answer);
      return answer;
    } finally {
      this.#underWay.delete(key);
    }
  }

  #keep(key: string, answer: Answer): void {
    this.#drop(key);
    if (answer.bytes > this.#bytesMax) return;
    this.#answers.set(key, { answer, untilMs: this.#now() + answer.forMs });
    this.#bytes += answer.bytes;
    for (const oldest of this.#answers.keys()) {
      if (this.#bytes <= this.#bytesMax) return;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    this.#bytes -= this.#answers.get(key)?.answer.bytes ?? 0;
    this.#answers.delete(key);
  }
}
