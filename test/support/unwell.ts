/** Object stores that fail: a client of ours before a real bucket or before a server of the test's own. */
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll } from 'vitest';
import { TidemarkError } from '../../schemas/errors.ts';
import { readSettings } from '../../schemas/settings.ts';
import { openStore } from '../../workers/clients/store/objects.ts';
import type { ObjectStore, StoreSettings } from '../../workers/clients/store/objects.ts';
import type { Bucket } from './objects.ts';
import { startOutage } from './outage.ts';
import type { Outage, Weather } from './outage.ts';

/** Closes what the functions below have opened, after the tests of a file. */
const opened: { close(): unknown }[] = [];

/** Call once in each file that uses the functions below. */
export function closeAfterwards(): void {
  afterAll(async () => {
    for (const each of opened.splice(0).toReversed()) await each.close();
  });
}

/** A store that talks to a server of our own, for answers that a good bucket never gives. */
export async function storeOf(
  listener: RequestListener,
  settings: Partial<StoreSettings> = {},
): Promise<ObjectStore & { readonly endpoint: string }> {
  const server = createServer(listener);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const S3_ENDPOINT = `http://127.0.0.1:${port}`;
  const store = openStore({ ...readSettings({}), S3_ENDPOINT, ...settings });
  const close = (): void => {
    server.closeAllConnections();
    server.close();
  };
  opened.push({ close }, store);
  return Object.assign(store, { endpoint: S3_ENDPOINT });
}

/** A bucket through a network where `decide` says what becomes of each request. */
export async function storeBehind(
  bucket: Bucket,
  decide: Parameters<typeof startOutage>[1],
  settings: Partial<StoreSettings> = {},
): Promise<ObjectStore & { readonly outage: Outage }> {
  const outage = await startOutage(bucket.endpoint, decide);
  const store = openStore({ ...bucket.settings, S3_ENDPOINT: outage.endpoint, ...settings });
  opened.push(outage, store);
  return Object.assign(store, { outage });
}

/** A bucket through a network where `weather` becomes of the first requests with `method`. */
export async function storeIn(
  bucket: Bucket,
  method: string,
  weather: readonly Weather[],
  settings: Partial<StoreSettings> = {},
): Promise<ObjectStore & { readonly tries: () => number }> {
  let tries = 0;
  const decide = (request: { method?: string | undefined }): Weather => {
    if (request.method !== method) return 'pass';
    tries += 1;
    return weather[tries - 1] ?? 'pass';
  };
  return Object.assign(await storeBehind(bucket, decide, settings), { tries: () => tries });
}

/** The error that a promise ends with. Throws when it is none of ours. */
export async function errorOf(promise: Promise<unknown>): Promise<TidemarkError> {
  const error: unknown = await promise.then(
    () => undefined,
    (fault: unknown) => fault,
  );
  if (error instanceof TidemarkError) return error;
  throw new Error(`wanted a TidemarkError, got ${String(error)}`);
}
