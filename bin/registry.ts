/** Makes the metrics registry of one program: Node's own metrics and the version are in it. */
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import manifest from '../package.json' with { type: 'json' };

/** A registry of this run alone. To be called once in a process: Node is then watched for good. */
export function openRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const help = 'Always 1; the version of Tidemark is its label';
  const labelNames = ['version'];
  new Gauge({ name: 'tidemark_build_info', help, labelNames, registers: [registry] }).set(
    { version: manifest.version },
    1,
  );
  return registry;
}
