/** Opens a long-running program's window for Prometheus and probes, on a port that is free. */
import { TidemarkError } from '../schemas/errors.ts';
import type { Monitor, MonitorOptions } from '../workers/watch/monitor.ts';
import type { Context } from './context.ts';

/**
 * A port that somebody chose has to be free: else throws PORT_TAKEN. Of several programs on one machine that
 * were told nothing, the first has the usual port, and each of the others any that is free.
 */
export async function openMonitor(shown: MonitorOptions, context: Context): Promise<Monitor> {
  const { startMonitor } = await import('../workers/watch/monitor.ts');
  const monitor = await startMonitor(shown).catch((error: unknown) => {
    const isChosen = context.environment['TIDEMARK_METRICS_PORT'] !== undefined;
    if (isChosen || !(error instanceof TidemarkError) || error.code !== 'PORT_TAKEN') throw error;
    shown.log.warn({ reason: error.message }, 'Serves metrics on another port');
    return startMonitor({ ...shown, settings: { ...shown.settings, TIDEMARK_METRICS_PORT: 0 } });
  });
  shown.log.info({ url: monitor.url }, 'Serves /metrics, /healthz and /readyz');
  return monitor;
}
