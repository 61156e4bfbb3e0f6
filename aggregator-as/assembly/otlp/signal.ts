/**
 * The signal that the instance reads at the moment. What differs by signal is called from these
 * places, and nowhere else: `transcode.ts` (a walk and tables of its own, as metrics have them),
 * `walk.ts` (reading, judging and rows of items), `columns/codes.ts` (dictionaries), `columns/settle.ts` (codes, sums
 * and sort key of an item that the columns keep), `columns/write.ts` (layout and columns of an hour).
 */

/** In the order in which the host numbers them. */
export const tracesSignal: u32 = 0;
export const logsSignal: u32 = 1;
export const metricsSignal: u32 = 2;

export let signal: u32 = tracesSignal;

export function setSignal(value: u32): void {
  signal = value;
}
