/** The books of a day as tables: received = archived + rejected, and every difference by name. */
import { differenceKinds } from '../../schemas/difference.ts';
import type { DifferenceText } from '../../schemas/difference.ts';
import { h, table } from './dom.ts';
import { count, time } from './show.ts';

/** A day of a signal, as the resource `ledger` has it. */
export interface Day {
  readonly signal: string;
  readonly computedAt: string;
  readonly isSettled: boolean;
  readonly received: number;
  readonly rejected: number;
  readonly copies: number;
  readonly archived: number;
  readonly speed: number;
  readonly late: number;
  readonly refused: number;
  readonly differing: number;
}

/** As the resource `differences` has it. */
export interface Difference {
  readonly signal: string;
  readonly kind: string;
  readonly items: number;
  readonly minutes: number;
  readonly from: string;
  readonly to: string;
}

/** The equation of each signal, and its differences. */
export function booksOf(
  days: readonly Day[],
  differences: readonly Difference[],
  { date, nowMs }: { readonly date: string; readonly nowMs: number },
): HTMLElement {
  if (days.length === 0) {
    const text = `No books of ${date} yet: “tidemark ledger --date ${date}” makes them.`;
    return h('p', { class: 'empty' }, text);
  }
  return h(
    'div',
    {},
    table(
      `The books of ${date}: received = archived + rejected + copies`,
      [
        { title: 'Signal', cell: ({ signal }) => signal },
        { title: 'Standing', cell: standingOf },
        { title: 'Received', isNumber: true, cell: ({ received }) => count(received) },
        { title: 'Archived', isNumber: true, cell: ({ archived }) => count(archived) },
        { title: 'Rejected', isNumber: true, cell: ({ rejected }) => count(rejected) },
        { title: 'Copies', isNumber: true, cell: ({ copies }) => count(copies) },
        { title: 'In speed layer', isNumber: true, cell: ({ speed }) => count(speed) },
        { title: 'Late', isNumber: true, cell: ({ late }) => count(late) },
        { title: 'Refused', isNumber: true, cell: ({ refused }) => count(refused) },
        { title: 'As of', cell: ({ computedAt }) => time(computedAt, nowMs) },
      ],
      days,
    ),
    differences.length === 0
      ? h('p', { class: 'empty' }, 'No differences in minutes that are settled.')
      : differencesOf(differences, date),
  );
}

function standingOf({ differing, isSettled }: Day): HTMLElement {
  const [kind, text] =
    differing > 0
      ? ['live', `${count(differing)} off`]
      : isSettled
        ? ['exact', 'balanced']
        : ['provisional', 'balanced so far'];
  return h('span', { class: `badge ${kind}` }, text);
}

function differencesOf(rows: readonly Difference[], date: string): HTMLElement {
  return table(
    `Differences in the books of ${date}, by name`,
    [
      { title: 'Signal', cell: ({ signal }) => signal },
      { title: 'Difference', cell: ({ kind }) => textOf(kind).title },
      { title: 'Kind', cell: ({ kind }) => textOf(kind).weight },
      { title: 'Items', isNumber: true, cell: ({ items }) => count(items) },
      { title: 'Minutes', isNumber: true, cell: ({ minutes }) => count(minutes) },
      { title: 'From, UTC', cell: ({ from }) => from.slice(11, 16) },
      { title: 'To, UTC', cell: ({ to }) => to.slice(11, 16) },
      { title: 'What to do', cell: ({ kind }) => textOf(kind).hint },
    ],
    rows,
  );
}

/** A name that a newer program gave shows as it is. */
function textOf(kind: string): DifferenceText {
  const known: Readonly<Record<string, DifferenceText>> = differenceKinds;
  return known[kind] ?? { title: kind, hint: '', weight: 'fault' };
}
