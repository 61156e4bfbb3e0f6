/** Writes drift for people. Only formats: every figure comes in. */
import type { ServiceDrift } from '../../batch/drift.ts';
import { table } from '../../dev/table.ts';
import type { Signal } from '../../schemas/archive.ts';
import type { Period } from '../../schemas/period.ts';

/** What was compared. */
export interface Compared {
  readonly period: Period;
  readonly signal: Signal;
  readonly runId: string;
  readonly services: readonly ServiceDrift[];
}

const counts = [
  ['batch', ({ batchItems }: ServiceDrift) => batchItems],
  ['speed', ({ speedItems }: ServiceDrift) => speedItems],
  ['missing', ({ missing }: ServiceDrift) => missing],
  ['duplicated', ({ duplicated }: ServiceDrift) => duplicated],
  ['unarchived', ({ unarchived }: ServiceDrift) => unarchived],
  ['late', ({ late }: ServiceDrift) => late],
  ['after run', ({ afterRun }: ServiceDrift) => afterRun],
  ['errors', ({ batchErrors }: ServiceDrift) => batchErrors],
  ['speed errors', ({ speedErrors }: ServiceDrift) => speedErrors],
] as const;

const errors = [
  ['p50 off', ({ p50Error }: ServiceDrift) => p50Error],
  ['p95 off', ({ p95Error }: ServiceDrift) => p95Error],
  ['p99 off', ({ p99Error }: ServiceDrift) => p99Error],
  ['worst', ({ quantileErrorMax }: ServiceDrift) => quantileErrorMax],
] as const;

/** The table of one signal, with a line of totals; ends in a line break. */
export function describeDrift({ period, signal, runId, services }: Compared): string {
  const of = signal === 'traces' ? errors : [];
  const columns = [
    { title: 'tenant' },
    { title: 'service' },
    ...[...counts, ...of].map(([title]) => ({ title, align: 'right' as const })),
  ];
  const rows = services.map((service) => [
    service.tenantId,
    service.serviceName,
    ...counts.map(([, value]) => String(value(service))),
    ...of.map(([, value]) => percent(value(service))),
  ]);
  const totals = counts.map(([, value]) =>
    String(services.reduce((sum, service) => sum + value(service), 0)),
  );
  const all = services.length === 1 ? '1 service' : `${services.length} services`;
  const total = ['', all, ...totals, ...of.map(() => '')];
  const head = `${period.name} (${signal}): the speed layer against run ${runId}\n\n`;
  return `${head}${table(columns, [...rows, total], '  ')}\n`;
}

function percent(ratio: number | null): string {
  return ratio === null ? '-' : `${(ratio * 100).toFixed(2)} %`;
}
