/** All resources of the read API, in the order of its document. */
import { completeness, drift, runs } from './books.ts';
import { graph } from './graph.ts';
import { logs } from './logs.ts';
import { metrics, points } from './metrics.ts';
import { hours, operations, rates, services, timeseries } from './services.ts';
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
  points,
  completeness,
  runs,
  drift,
];
