/**
 * A fixed amount of work for one core, in registers and in a few megabytes of memory: what two threads gain over
 * one on a machine at best. Virtual cores may share one that is real.
 */

const words = new Uint32Array(1 << 20);
const rounds = 24;

/** Does it. Returns a number that depends on all of it. */
export function spin(): number {
  let state = 1;
  for (let round = 0; round < rounds; round += 1) {
    for (let at = 0; at < words.length; at += 1) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      const place = (state >>> 12) & (words.length - 1);
      words[place] = ((words[place] ?? 0) ^ state) >>> 0;
    }
  }
  return state ^ (words[state & (words.length - 1)] ?? 0);
}
