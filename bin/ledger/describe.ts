/** Writes the books of a day for people. Only formats: every figure comes in. */
import type { GoneFile } from '../../batch/ledger/files.ts';
import type { Difference, TenantLedger } from '../../batch/ledger/sum.ts';
import { table } from '../../dev/table.ts';
import type { Signal } from '../../schemas/archive.ts';
import type { Period } from '../../schemas/period.ts';
import { ledgerFilesNamedMax } from '../../schemas/limits/batch.ts';

/** The books of one signal and day. */
export interface Balanced {
  readonly period: Period;
  readonly signal: Signal;
  /** Minutes that end later are open, ms since 1970. */
  readonly settledMs: number;
  readonly tenants: readonly TenantLedger[];
  readonly goneFiles: readonly GoneFile[];
}

const columns = [
  ['received', ({ received }: TenantLedger) => received],
  ['rejected', ({ rejected }: TenantLedger) => rejected],
  ['copies', ({ copies }: TenantLedger) => copies],
  ['archived', ({ archived }: TenantLedger) => archived],
  ['off by', ({ unbalanced }: TenantLedger) => unbalanced],
  ['in speed layer', ({ speed }: TenantLedger) => speed],
  ['spooled', ({ spooled }: TenantLedger) => spooled],
  ['late', ({ late }: TenantLedger) => late],
  ['quarantined', ({ quarantined }: TenantLedger) => quarantined],
  ['refused', ({ refused }: TenantLedger) => refused],
  ['other ways', ({ archivedOther }: TenantLedger) => archivedOther],
  ['still open', ({ open }: TenantLedger) => open],
] as const;

/** The equation of each tenant, and every difference by name; ends in a line break. */
export function describeLedger({
  period,
  signal,
  settledMs,
  tenants,
  goneFiles,
}: Balanced): string {
  const head = `${period.name} (${signal}): received = archived + rejected + copies, settled until ${instant(settledMs)}\n\n`;
  if (tenants.length === 0) return `${head}  Nothing was received.\n\n`;
  const titles = columns.map(([title]) => ({ title, align: 'right' as const }));
  const rows = tenants.map((tenant) => [
    tenant.tenantId,
    ...columns.map(([, value]) => String(value(tenant))),
  ]);
  const reasons = tenants.flatMap(({ tenantId, rejectedBy }) =>
    Object.entries(rejectedBy).map(
      ([reason, items]) => `  ${tenantId}: ${items} rejected: ${reason}\n`,
    ),
  );
  const found = tenants.flatMap(({ tenantId, differences }) =>
    differences.map((difference) => lineOf(tenantId, difference)),
  );
  const gone = goneFiles
    .slice(0, ledgerFilesNamedMax)
    .map(({ key, rows: count }) => `  gone: ${key} (${count} rows)\n`);
  const more = goneFiles.length - gone.length;
  return [
    head,
    table([{ title: 'tenant' }, ...titles], rows, '  '),
    ...section(reasons),
    ...section(found),
    ...section([...gone, ...(more > 0 ? [`  and ${more} more files\n`] : [])]),
    '\n',
  ].join('');
}

function section(lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['\n', ...lines];
}

function lineOf(tenantId: string, difference: Difference): string {
  const { weight, title, items, minutes, firstMs, lastMs, hint } = difference;
  const when = minutes === 1 ? timeOf(firstMs) : `${timeOf(firstMs)} to ${timeOf(lastMs)}`;
  const span = `${minutes} ${minutes === 1 ? 'minute' : 'minutes'} (${when})`;
  return `  ${weight}: ${tenantId}: ${items} ${title}, in ${span}\n      ${hint}\n`;
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString().slice(11, 16);
}

function instant(ms: number): string {
  return ms <= 0
    ? 'no time yet'
    : `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** A line for each fault: what the exit code is for. */
export function ledgerAlerts(signal: Signal, tenants: readonly TenantLedger[]): string[] {
  return tenants.flatMap(({ tenantId, differences }) =>
    differences
      .filter(({ weight }) => weight === 'fault')
      .map(({ items, title }) => `${signal}: ${tenantId} has ${items} ${title}`),
  );
}
