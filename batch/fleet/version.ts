/** Names the code of a fleet: only workers of the same code compute a coordinator's shards. */
import { createHash } from 'node:crypto';
import type { Signal } from '../../schemas/archive.ts';
import type { Settings } from '../../schemas/settings.ts';
import { loadKernel, type Kernel } from '../shard/kernel.ts';
import { signalBatches, signals } from '../signals.ts';

export interface FleetCode {
  /** Of the package and of all kernels that this checkout was built with. */
  readonly version: string;
  readonly kernels: Readonly<Record<Signal, Kernel>>;
}

/** Loads the kernels of all signals. Throws when this checkout was not built. */
export async function loadFleetCode(): Promise<FleetCode> {
  const [traces, logs, metrics] = await Promise.all([
    loadKernel(signalBatches.traces.kernel),
    loadKernel(signalBatches.logs.kernel),
    loadKernel(signalBatches.metrics.kernel),
  ]);
  const kernels = { traces, logs, metrics };
  const versions = signals.map((signal) => kernels[signal].codeVersion);
  const [release = ''] = (versions[0] ?? '').split('+');
  const hash = createHash('sha256').update(versions.join('\n')).digest('hex').slice(0, 8);
  return { version: `${release}-${hash}`, kernels };
}

/**
 * The consumer group of the workers of that code. Each code has its own, so that versions may run side by side:
 * each group is given every task, and leaves those of other codes alone.
 */
export function groupOf(
  settings: Pick<Settings, 'TIDEMARK_TASK_GROUP'>,
  code: Pick<FleetCode, 'version'>,
): string {
  return `${settings.TIDEMARK_TASK_GROUP}-${code.version}`;
}
