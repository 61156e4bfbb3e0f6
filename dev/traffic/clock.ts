/**
 * When the shop's requests happen: a day has a quiet night, a busy noon and a busier evening.
 * Cuts a range of time into slots, each with its share of the requests; never looks at a clock.
 */

/** Requests per hour of the UTC day, in proportion. */
const hourWeights = [
  3, 2, 2, 2, 2, 3, 5, 8, 11, 13, 14, 15, 16, 15, 14, 14, 15, 17, 19, 20, 18, 14, 9, 5,
];
const hourMs = 3_600_000;
const slotMs = hourMs / 6;

/** A few minutes, ms since 1970. */
export interface Slot {
  readonly fromMs: number;
  readonly untilMs: number;
  /** Share of the range's requests that happen up to the end of this slot: the last has 1. */
  readonly cumulativeShare: number;
}

/** The slots of [fromMs, untilMs), in order; the range must not be empty. */
export function slotsOf(fromMs: number, untilMs: number): Slot[] {
  const slots: { fromMs: number; untilMs: number; weight: number }[] = [];
  for (let atMs = fromMs; atMs < untilMs;) {
    const endMs = Math.min(untilMs, (Math.floor(atMs / slotMs) + 1) * slotMs);
    const weight = hourWeights[Math.floor(atMs / hourMs) % 24] ?? 1;
    slots.push({ fromMs: atMs, untilMs: endMs, weight: weight * (endMs - atMs) });
    atMs = endMs;
  }
  const sum = slots.reduce((total, { weight }) => total + weight, 0);
  let done = 0;
  return slots.map((slot, index) => {
    done += slot.weight;
    const cumulativeShare = index === slots.length - 1 ? 1 : done / sum;
    return { fromMs: slot.fromMs, untilMs: slot.untilMs, cumulativeShare };
  });
}
