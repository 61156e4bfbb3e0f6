/**
 * When the shop's requests happen: a day has a quiet night, a busy noon and a busier evening.
 * Draws start times; never looks at a real clock.
 */
import type { Random } from './random.ts';

/** Requests per hour of the UTC day, in proportion. */
const hourWeights = [
  3, 2, 2, 2, 2, 3, 5, 8, 11, 13, 14, 15, 16, 15, 14, 14, 15, 17, 19, 20, 18, 14, 9, 5,
];
const hourWeightMax = Math.max(...hourWeights);
const hourMs = 3_600_000;

/** A start time in [fromMs, untilMs), distributed by the day's curve. Ms since 1970, whole. */
export function drawStart(fromMs: number, untilMs: number, random: Random): number {
  for (;;) {
    const timeMs = fromMs + Math.floor(random.fraction() * (untilMs - fromMs));
    const hour = Math.floor(timeMs / hourMs) % 24;
    // Rejection sampling; the least weight is a tenth of the greatest, so it ends soon.
    if (random.chance((hourWeights[hour] ?? 1) / hourWeightMax)) return timeMs;
  }
}
