/** One deployment of several that share a load out evenly, with all its sizes. It only adds up. */
import type { Signal } from '../../schemas/archive.ts';
import type { Assumptions } from './assume.ts';
import { sizeOf, type Load, type SignalSize } from './size.ts';

/** A deployment: one bucket, its own topics and its own ClickHouse database. */
export interface Cell {
  readonly load: Load;
  readonly signals: Readonly<Record<Signal, SignalSize>>;
  /** A figure's sum over the signals. */
  readonly sum: (of: (size: SignalSize) => number) => number;
}

/** One of `cells` deployments. */
export function cellOf(load: Load, a: Assumptions, cells: number): Cell {
  const { traces, logs, metrics } = load.items;
  const items = { traces: traces / cells, logs: logs / cells, metrics: metrics / cells };
  const own = { ...load, items };
  const signals = {
    traces: sizeOf('traces', own, a),
    logs: sizeOf('logs', own, a),
    metrics: sizeOf('metrics', own, a),
  };
  const sizes = Object.values(signals);
  return { load: own, signals, sum: (of) => sizes.reduce((sum, size) => sum + of(size), 0) };
}
