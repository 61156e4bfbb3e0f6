/** Decides which services are past the limits of drift. Pure. */
import type { ServiceDrift } from '../../batch/drift.ts';
import { SettingError } from '../../schemas/errors.ts';

/** What a limit may be set for. Shares are of the batch's items, of unarchived ones of the speed layer's. */
export const driftKinds = [
  'missing',
  'duplicated',
  'unarchived',
  'late',
  'errors',
  'quantiles',
] as const;

export type DriftKind = (typeof driftKinds)[number];

/** Percents that a service may have; of kinds without one anything goes. */
export type DriftLimits = Readonly<Partial<Record<DriftKind, number>>>;

/** Reads `missing=0.1,duplicated=1`. Throws `SettingError` for anything else. */
export function parseLimits(setting: string, text: string): DriftLimits {
  const limits: Partial<Record<DriftKind, number>> = {};
  for (const part of text.split(',').filter((it) => it.trim() !== '')) {
    const [, name, percent] = /^\s*([a-z]+)=(\d+(?:\.\d+)?)\s*$/.exec(part) ?? [];
    const kind = driftKinds.find((it) => it === name);
    if (kind === undefined || percent === undefined) {
      const message = `Cannot use ${setting} "${text}": wanted percents such as missing=0.1,late=5; known are ${driftKinds.join(', ')}`;
      throw new SettingError(setting, message);
    }
    limits[kind] = Number(percent);
  }
  return limits;
}

/** How much of a kind a service has, percent; 0 where there is nothing to compare. */
export function percentOf(kind: DriftKind, service: ServiceDrift): number {
  return percents[kind](service);
}

const percents: Readonly<Record<DriftKind, (service: ServiceDrift) => number>> = {
  missing: ({ missing, batchItems }) => share(missing, batchItems),
  duplicated: ({ duplicated, batchItems }) => share(duplicated, batchItems),
  unarchived: ({ unarchived, speedItems }) => share(unarchived, speedItems),
  late: ({ late, batchItems }) => share(late, batchItems),
  errors: ({ batchErrors, speedErrors }) => share(Math.abs(speedErrors - batchErrors), batchErrors),
  quantiles: ({ p50Error, p95Error, p99Error }) =>
    100 * Math.max(p50Error ?? 0, p95Error ?? 0, p99Error ?? 0),
};

function share(part: number, whole: number): number {
  return (part * 100) / Math.max(1, whole);
}

/** A line for each service and kind that is past its limit. */
export function driftAlerts(services: readonly ServiceDrift[], limits: DriftLimits): string[] {
  return services.flatMap((service) =>
    driftKinds.flatMap((kind) => {
      const limit = limits[kind];
      const percent = percentOf(kind, service);
      if (limit === undefined || percent <= limit) return [];
      const name = `${service.tenantId} ${service.serviceName}`;
      return [`${name} has ${percent.toFixed(2)} % ${kind}, limit ${limit} %`];
    }),
  );
}
