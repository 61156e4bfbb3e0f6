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
  const share = (part: number, whole: number) => (part * 100) / Math.max(1, whole);
  const { batchItems, speedItems, batchErrors, speedErrors } = service;
  switch (kind) {
    case 'unarchived':
      return share(service.unarchived, speedItems);
    case 'errors':
      return share(Math.abs(speedErrors - batchErrors), batchErrors);
    case 'quantiles': {
      const { p50Error, p95Error, p99Error } = service;
      return 100 * Math.max(p50Error ?? 0, p95Error ?? 0, p99Error ?? 0);
    }
    case 'missing':
    case 'duplicated':
    case 'late':
      return share(service[kind], batchItems);
  }
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
