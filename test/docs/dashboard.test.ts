/** docs/DASHBOARD.md shows every page of the dashboard, in pictures that are there and small. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';

const root = path.join(import.meta.dirname, '../..');
const guide = readFileSync(path.join(root, 'docs/DASHBOARD.md'), 'utf8');
const shown = [...guide.matchAll(/!\[([^\]]+)\]\(pictures\/([\w-]+)\.png\)/g)];

it('docs/DASHBOARD.md shows each page, and the first one in dark too', () => {
  const pages = readdirSync(path.join(root, 'edge/dashboard/page')).map((name) =>
    path.basename(name, '.ts'),
  );
  const names = shown.map(([, , name = '']) => name);
  expect(names.toSorted()).toEqual([...pages, 'services-dark'].toSorted());
});

it('its pictures are those that are there, PNG of 150 kB at most', () => {
  const folder = path.join(root, 'docs/pictures');
  const files = readdirSync(folder);
  expect(files.toSorted()).toEqual(shown.map(([, , name]) => `${name}.png`).toSorted());
  for (const file of files) {
    const bytes = readFileSync(path.join(folder, file));
    expect(bytes.subarray(1, 4).toString(), file).toBe('PNG');
    expect(statSync(path.join(folder, file)).size, file).toBeLessThanOrEqual(150_000);
  }
});
