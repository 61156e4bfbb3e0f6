/** The text of `tidemark status`: what people see of each situation. */
import { expect, it } from 'vitest';
import { describe } from '../../../bin/status/describe.ts';
import type { PartitionReport, PeriodReport } from '../../../bin/status/judge.ts';
import type { StatusReport } from '../../../bin/status/read.ts';

const minute = 60_000;
const hour = 60 * minute;
const now = Date.UTC(2026, 10, 22, 13, 5);
const topic = 'otlp_spans';
const holder = {
  topic,
  partition: '3',
  condition: 'stopped',
  watermarkMs: now - 4 * hour,
} as const;

const partition: PartitionReport = {
  ...holder,
  seenMs: now - 4 * hour,
  nextOffset: '120',
  endOffset: '5120',
  lagRecords: 5000,
  lagSeconds: 4 * 3600,
  lostRecords: 0,
  headOffset: '100',
  committedAt: new Date(now - 4 * hour).toISOString(),
  commitRows: 812,
  writer: 'a1b2',
  flushAgeMs: minute,
};

function periodOf(more: Partial<PeriodReport>): PeriodReport {
  return {
    signal: 'traces',
    fromMs: Date.UTC(2026, 10, 22, 9),
    toMs: Date.UTC(2026, 10, 22, 10),
    files: 12,
    rows: 3400,
    bytes: 56_000,
    quarantinedRows: 2,
    state: 'final',
    finalFromMs: Date.UTC(2026, 10, 22, 13),
    heldBy: [],
    ...more,
  };
}

function textOf(more: Partial<StatusReport>): string[] {
  const report: StatusReport = {
    services: [{ name: 'object store', url: 'https://s3.example.com', error: undefined }],
    signals: [],
    partitions: [],
    spools: [],
    dead: [],
    periods: [],
    runs: [],
    due: [],
    damage: [],
    ...more,
  };
  return describe(report, now).replaceAll(/ {2,}/g, ' | ').split('\n');
}

it('shows a partition: where it is, what waits, since when, and who wrote last', () => {
  expect(textOf({ partitions: [partition] })).toContain(
    'otlp_spans | 3 | stopped | 120 | 5000 | 4 h | 4 h ago | 4 h ago | 812 | a1b2',
  );
  const fresh = {
    ...partition,
    condition: 'unread',
    watermarkMs: 0,
    committedAt: undefined,
  } as const;
  const unknown = { lagRecords: undefined, lagSeconds: undefined, commitRows: undefined };
  expect(textOf({ partitions: [{ ...fresh, ...unknown, writer: undefined }] })).toContain(
    'otlp_spans | 3 | unread | 120 | ? | none | never',
  );
  expect(textOf({ partitions: [{ ...partition, lostRecords: 7 }] }).join('\n')).toContain(
    'stopped, 7 lost',
  );
});

it('shows nothing as absent that cannot be read, and names what is damaged', () => {
  const services = ['ClickHouse', 'object store'].map((name) => ({ name, url: '', error: 'gone' }));
  const away = textOf({ services }).join('\n');
  expect(away).toContain('ClickHouse | gone');
  expect(away).toContain('How far the archive is cannot be read.');
  expect(away).not.toMatch(/Nothing is archived yet|No day is|No scheduler|^spool/m);
  const { due: _, ...untold } = { due: [], damage: ['Cannot read commit "a": it is no JSON'] };
  const up = services.map(({ name, url }) => ({ name, url, error: undefined }));
  const lines = textOf({
    services: up,
    ...untold,
    partitions: [{ ...partition, condition: 'unreadable' }],
  });
  expect(lines).toContain('Damaged: Cannot read commit "a": it is no JSON');
  expect(lines.join('\n')).toContain('otlp_spans | 3 | unreadable | ? | ');
});

it('says how far each signal is archived, and who holds it back', () => {
  const heldBy = [1, 2, 3, 4].map((number) => ({ ...holder, partition: String(number) }));
  const signals = [
    { signal: 'traces', completeUpToMs: now - 4 * hour, heldBy } as const,
    { signal: 'logs', completeUpToMs: 0, heldBy: [] } as const,
  ];
  const all = [1, 2, 3].map((name) => `otlp_spans/${name} (no archiver reads it, 4 h behind)`);
  const lines = textOf({ signals });
  expect(lines).toContain(`traces | 2026-11-22 09:05 | ${all.join(', ')} and 1 more`);
  expect(lines).toContain('logs | unknown');
});

it.each<[string, Partial<PeriodReport>, string]>([
  ['final', {}, 'final'],
  ['running', { state: 'running' }, 'not over yet'],
  ['waiting', { state: 'waiting' }, 'late data is waited for until 2026-11-22 13:00'],
  [
    'held',
    { state: 'held', heldBy: [{ ...holder, condition: 'unread', watermarkMs: 0 }] },
    'held back by otlp_spans/3 (not read yet)',
  ],
  ['unknown', { state: 'unknown' }, 'no archiver has read this signal yet'],
])('shows a period that is %s', (_, more, expected) => {
  expect(textOf({ periods: [periodOf(more)] })).toContain(
    `2026-11-22T09 | traces | 12 | 3400 | 56000 | 2 | ${expected}`,
  );
});

it('names days without an hour, and what was set aside only when there is something', () => {
  const toMs = Date.UTC(2026, 10, 23, 9);
  expect(textOf({ periods: [periodOf({ toMs })] }).join('\n')).toContain('\n2026-11-22 | traces');
  const place = { name: 'speed', prefix: '_dead/speed/', more: true };
  expect(textOf({ dead: [{ ...place, objects: 20_000 }] })).toContain(
    'rows for ClickHouse | 20000 or more | _dead/speed/',
  );
  expect(textOf({ dead: [{ ...place, objects: 0 }] }).join('\n')).not.toContain('set aside');
});

it('leaves out what is published where only the archive was asked for', () => {
  expect(textOf({}).join('\n')).not.toContain('No day is');
  const clickhouse = { name: 'ClickHouse', url: 'http://127.0.0.1:8123', error: undefined };
  const lines = textOf({ services: [clickhouse] });
  expect(lines).toContain('ClickHouse | up | http://127.0.0.1:8123');
  expect(lines).toContain('No day is published yet.');
});
