/** Pages that search a resource of the API: filters above, kept in the address, and what matches below. */
import { choice, field, fill, h } from './dom.ts';
import { rangeName, rangeOf, ranges } from './page.ts';
import type { Page } from './page.ts';
import { read } from './read.ts';

/** A parameter of the resource that the user sets: free text, a number, or one of some choices. */
export interface Filter {
  readonly name: string;
  readonly label: string;
  readonly choices?: Readonly<Record<string, string>>;
  readonly isNumber?: boolean;
}

export interface Search<Row> {
  readonly title: string;
  readonly resource: string;
  readonly filters: readonly Filter[];
  /** Said when nothing matches. */
  readonly empty: string;
  readonly show: (rows: readonly Row[], nowMs: number) => HTMLElement;
}

export function searchPage<Row>({ title, resource, filters, empty, show }: Search<Row>): Page {
  return {
    title: () => title,
    open: (root, visit) => {
      const get = (name: string) => visit.place.parameters.get(name) ?? '';
      const set = (name: string) => (value: string) => visit.change({ [name]: value });
      const controls = filters.map(({ name, label, choices, isNumber }) =>
        choices
          ? choice(label, choices, get(name), set(name))
          : field(label, get(name), set(name), isNumber === true ? 'number' : 'search'),
      );
      const region = h('div', {});
      const range = choice('Range', ranges, rangeName(visit), set('range'));
      root.append(h('div', { class: 'controls' }, range, ...controls), region);
      return {
        isLive: true,
        async refresh(signal) {
          const asked = Object.fromEntries(filters.map(({ name }) => [name, get(name)]));
          const { data } = await read<Row>(resource, { ...rangeOf(visit), ...asked }, signal);
          if (data.length === 0) fill(region, h('p', { class: 'empty' }, empty));
          else fill(region, show(data, visit.nowMs()));
        },
      };
    },
  };
}
