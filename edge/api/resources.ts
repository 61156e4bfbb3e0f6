/** All resources of the read API, in the order of its document. */
import { completeness, drift, runs } from './books.ts';
import { graph } from './graph.ts';
import { differences, ledger } from './ledger.ts';
import { logs } from './logs.ts';
import { metrics, points, series } from './metrics.ts';
import { hours, operations, rates, services } from './services.ts';
import { timeseries } from './timeseries.ts';
import { trace, traces } from './traces.ts';
import type { Resource } from './resource.ts';

export const resources: readonly Resource[] = [
  services,
  operations,
  hours,
  rates,
  timeseries,
  graph,
  traces,
  trace,
  logs,
  metrics,
  series,
  points,
  completeness,
  runs,
  drift,
  ledger,
  differences,
];
