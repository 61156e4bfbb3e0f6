/**
 * Finds out whether the runtime copies the bytes of a body as soon as it is given them, as the Fetch
 * standard says ("extract a body"). workerd once did not. It decides nothing but that.
 */

const pages = 1;

/** What one isolate knows of its runtime. */
export class CopyCheck {
  #answer: boolean | undefined;
  #isAsked = false;

  /**
   * Whether memory may be used again as soon as it was given as a body: false until that has been seen.
   * The first call has to come within a request; it begins to look.
   */
  copies(): boolean {
    if (!this.#isAsked) {
      this.#isAsked = true;
      // Without an answer memory is never used again: that costs time and nothing else.
      this.#look().catch(() => undefined);
    }
    return this.#answer ?? false;
  }

  async #look(): Promise<void> {
    const bytes = new Uint8Array(new WebAssembly.Memory({ initial: pages }).buffer);
    const request = new Request('http://localhost/', { method: 'POST', body: bytes });
    bytes.fill(1);
    const seen = new Uint8Array(await request.arrayBuffer());
    this.#answer = seen.length === bytes.length && seen.every((byte) => byte === 0);
  }
}
