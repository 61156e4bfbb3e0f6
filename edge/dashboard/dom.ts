/** Makes elements. Text is always text: nothing that was sent to Tidemark becomes markup. */

export type Child = Node | string | number | null;

type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** An element with attributes and children. `true` is an attribute without a value. */
export function h<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  decorate(element, attributes);
  for (const child of children) if (child !== null) element.append(text(child));
  return element;
}

/** An element of SVG. */
export function svg(name: string, attributes: Attributes, ...children: Node[]): SVGElement {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  decorate(element, attributes);
  element.append(...children);
  return element;
}

function decorate(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? '' : String(value));
  }
}

function text(child: Node | string | number): Node | string {
  return typeof child === 'number' ? String(child) : child;
}

/** Replaces what `region` shows; the focus stays where it was, by `data-key`. */
export function fill(region: Element, ...children: readonly Child[]): void {
  const focused = document.activeElement;
  const key =
    focused !== null && region.contains(focused) ? focused.getAttribute('data-key') : null;
  region.replaceChildren(...children.flatMap((child) => (child === null ? [] : [text(child)])));
  if (key === null) return;
  region.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

/** A column of a table. */
export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => Child;
  readonly isNumber?: boolean;
}

/** A table that scrolls sideways by itself where it is too wide; by keyboard as well. */
export function table<Row>(
  caption: string,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
): HTMLElement {
  const align = (column: Column<Row>) => ({
    class: column.isNumber === true ? 'number' : undefined,
  });
  const head = columns.map((column) => h('th', { scope: 'col', ...align(column) }, column.title));
  const body = rows.map((row) =>
    h('tr', {}, ...columns.map((column) => h('td', align(column), column.cell(row)))),
  );
  return h(
    'div',
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption },
    h(
      'table',
      {},
      h('caption', {}, caption),
      h('thead', {}, h('tr', {}, ...head)),
      h('tbody', {}, ...body),
    ),
  );
}

/** A choice with a label; `onChange` hears of the new value. */
export function choice(
  label: string,
  values: Readonly<Record<string, string>>,
  value: string,
  onChange: (value: string) => void,
): HTMLElement {
  const options = Object.entries(values).map(([key, title]) =>
    h('option', { value: key, selected: key === value }, title),
  );
  const select = h('select', {}, ...options);
  select.addEventListener('change', () => onChange(select.value));
  return h('label', {}, `${label} `, select);
}

/** A field for text with a label; `onChange` hears of it when the user is done. */
export function field(
  label: string,
  value: string,
  onChange: (value: string) => void,
  type = 'search',
): HTMLElement {
  const input = h('input', { type, value });
  input.addEventListener('change', () => onChange(input.value));
  return h('label', {}, `${label} `, input);
}
