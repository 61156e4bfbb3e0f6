/**
 * What one isolate keeps of its sinks between requests: the proxy that the settings name, and a
 * circuit breaker for it and for every table of ClickHouse. It calls no sink itself.
 */
import type { Settings } from '../schemas/settings.ts';
import { tablesOf } from '../schemas/tables.ts';
import type { SpeedTable } from '../schemas/tables.ts';
import { Breaker } from './breaker.ts';
import type { InsertTools } from './insert.ts';
import { readProxy } from './archive/proxy.ts';
import type { Proxy, ProxySettings } from './archive/proxy.ts';

/** The binding of a client certificate: what a Worker calls in place of `fetch`. */
export interface CertificateBinding {
  readonly fetch: InsertTools['fetch'];
}

/** Kafka, as far as the archive leg knows it. */
export interface Kafka {
  readonly proxy: Proxy;
  readonly breaker: Breaker;
  /** With the client certificate, when there is one. */
  readonly fetch: InsertTools['fetch'];
}

export interface Sinks {
  /** Undefined when the R2 spool alone is the archive leg. */
  readonly kafka: Kafka | undefined;
  readonly tables: ReadonlyMap<SpeedTable, Breaker>;
}

/** Makes the sinks of an isolate. Throws `SettingError` for settings that contradict each other. */
export function openSinks(
  settings: ProxySettings & Pick<Settings, 'TIDEMARK_SINK_TIMEOUT_MS'>,
  bindings: { readonly KAFKA_REST_MTLS?: CertificateBinding },
  tools: { readonly fetch: InsertTools['fetch']; readonly now: () => number },
): Sinks {
  const proxy = readProxy(settings);
  const breaker = () => new Breaker(tools.now, 2 * settings.TIDEMARK_SINK_TIMEOUT_MS);
  const certificate = bindings.KAFKA_REST_MTLS;
  const fetch: InsertTools['fetch'] = certificate
    ? (url, init) => certificate.fetch(url, init)
    : tools.fetch;
  return {
    kafka: proxy && { proxy, breaker: breaker(), fetch },
    tables: new Map(
      Object.values(tablesOf)
        .flat()
        .map((table) => [table, breaker()]),
    ),
  };
}
