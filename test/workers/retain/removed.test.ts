import { expect, it } from 'vitest';
import type { PeriodFile } from '../../../workers/clients/commits/archive.ts';
import { RemovedRows } from '../../../workers/retain/removed.ts';

const hour = { signal: 'logs', hourMs: Date.UTC(2026, 10, 22, 13) } as const;
const file = { key: 'k', bytes: 1000, rows: 10 } as PeriodFile;

it('RemovedRows adds up files, rows and their part of the bytes, by day and tenant', () => {
  const removed = new RemovedRows();
  removed.addFile(hour, file, new Map([['b', 4]]));
  const more = new RemovedRows();
  more.addFile(
    hour,
    file,
    new Map([
      ['a', 1],
      ['b', 9],
    ]),
  );
  more.addFile({ ...hour, hourMs: hour.hourMs + 86_400_000 }, file, new Map([[undefined, 10]]));
  removed.add(more);
  expect(removed.list()).toEqual([
    { signal: 'logs', day: '2026-11-22', tenant: 'a', files: 1, rows: 1, bytes: 100 },
    { signal: 'logs', day: '2026-11-22', tenant: 'b', files: 2, rows: 13, bytes: 1300 },
    { signal: 'logs', day: '2026-11-23', files: 1, rows: 10, bytes: 1000 },
  ]);
});
