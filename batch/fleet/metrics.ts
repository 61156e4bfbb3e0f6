/** The Prometheus metrics of a fleet's worker. Names are a contract with dashboards and alerts. */
import { Counter, Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';
import type { TaskReport } from './execute.ts';
import type { WorkerState } from './state.ts';

export interface WorkerMetrics {
  /** Counts a task that has ended after `ms`. */
  ended(report: TaskReport | { readonly end: 'poison' }, ms: number): void;
  /** Counts a try to reach the store or Kafka that failed. */
  failed(code: string): void;
}

/** From 100 ms to an hour. */
const taskBuckets = [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];

/** Makes them in `registry`. Once per registry: names are unique there. */
export function workerMetrics(registry: Registry, state: WorkerState): WorkerMetrics {
  const registers = [registry];
  const tasks = new Counter({
    name: 'tidemark_batch_tasks_total',
    help: 'Tasks that have ended, by how: done, split, failed, present, abandoned, …',
    labelNames: ['end'] as const,
    registers,
  });
  const seconds = new Histogram({
    name: 'tidemark_batch_task_seconds',
    help: 'Time that a shard took, of those that were computed here',
    labelNames: ['signal'] as const,
    buckets: taskBuckets,
    registers,
  });
  const errors = new Counter({
    name: 'tidemark_batch_errors_total',
    help: 'Tries to reach the store or Kafka that failed, by error code',
    labelNames: ['code'] as const,
    registers,
  });
  const gauge = (name: string, help: string, value: () => number): void => {
    void new Gauge({
      name: `tidemark_batch_${name}`,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  };
  gauge('tasks_running', 'Tasks that are being worked on', () => state.running);
  gauge('tasks_waiting', 'Tasks that are read and not begun', () => state.waiting);
  gauge('partitions', "Partitions of the tasks' topic that are this worker's", () => {
    return state.partitions;
  });
  return {
    ended(report, ms) {
      tasks.inc({ end: report.end });
      const isComputed = report.end === 'done' || report.end === 'split';
      if (isComputed && report.signal) seconds.observe({ signal: report.signal }, ms / 1000);
    },
    failed: (code) => errors.inc({ code }),
  };
}
