/** What a program finds out about a store at its start: fit and unfit servers, real and broken. */
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSettings } from '../../../../schemas/settings.ts';
import { TidemarkError } from '../../../../schemas/errors.ts';
import { openStore } from '../../../../workers/clients/store/objects.ts';
import type { ObjectStore, PutOptions } from '../../../../workers/clients/store/objects.ts';
import { assertConditionalPut } from '../../../../workers/clients/store/probe.ts';
import { keysUnder } from '../../../support/committed.ts';
import { startGofakes3, startVersity } from '../../../support/gateway.ts';
import { CountingStore, startBucket } from '../../../support/objects.ts';
import type { Bucket } from '../../../support/objects.ts';
import { startOutage } from '../../../support/outage.ts';
import { gofakes3, versitygw } from '../../../support/peers.ts';

const [versity, unfit] = await Promise.all([versitygw(), gofakes3()]);

let bucket: Bucket;
const servers: Server[] = [];

beforeAll(async () => {
  bucket = await startBucket();
});

afterAll(async () => {
  for (const server of servers) server.close();
  await bucket.close();
});

async function refusalOf(store: ObjectStore): Promise<string> {
  const fault: unknown = await assertConditionalPut(store, 'probe').catch(
    (error: unknown) => error,
  );
  if (!(fault instanceof TidemarkError)) throw new Error(`it gave ${String(fault)}`);
  expect(fault).toMatchObject({ code: 'UNSUPPORTED_STORE', retryable: false });
  return fault.message;
}

/** The real bucket behind a gateway that does something else with conditional writes. */
function changed(
  put: (key: string, body: string, options: PutOptions) => Promise<void>,
): ObjectStore {
  const { store } = bucket;
  return {
    get: (...args) => store.get(...args),
    head: (...args) => store.head(...args),
    list: (...args) => store.list(...args),
    listFolders: (...args) => store.listFolders(...args),
    delete: (...args) => store.delete(...args),
    close: () => undefined,
    clockAheadMs: () => store.clockAheadMs(),
    put: (key, body, options = {}) => put(key, String(body), options),
  };
}

async function listenTo(listener: RequestListener): Promise<ObjectStore> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  return openStore(readSettings({ S3_ENDPOINT: `http://127.0.0.1:${port}` }));
}

describe('assertConditionalPut()', () => {
  it('accepts R2 with 22 requests and leaves nothing behind', async () => {
    const store = new CountingStore(bucket.store);
    await assertConditionalPut(store, 'probe');
    expect(store.requests).toEqual({ get: 2, head: 0, put: 18, list: 1, delete: 1 });
    expect(await keysUnder(bucket.store, '')).toEqual([]);
  });

  it.skipIf('missing' in versity)('accepts versitygw', async () => {
    const other = await startVersity('path' in versity ? versity.path : '');
    for (let round = 0; round < 5; round += 1) await assertConditionalPut(other.store, `${round}`);
    expect(await keysUnder(other.store, '')).toEqual([]);
    await other.close();
  });

  it.skipIf('missing' in unfit)('refuses a real server that ignores conditions', async () => {
    const other = await startGofakes3('path' in unfit ? unfit.path : '');
    expect(await refusalOf(other.store)).toContain('in spite of If-None-Match');
    expect(await keysUnder(other.store, '')).toEqual([]);
    await other.close();
  });

  it('refuses a store that looks first and writes then', async () => {
    const { store } = bucket;
    const racy = changed(async (key, body, options) => {
      if ((await store.head(key)) !== undefined) return store.put(key, body, options);
      await delay(20);
      return store.put(key, body);
    });
    expect(await refusalOf(racy)).toMatch(/it let \d of 8 writers at once create the same key/);
    expect(await keysUnder(store, '')).toEqual([]);
  });

  it('refuses a store that does not know the header', async () => {
    const old = await listenTo((request, response) => {
      request.resume();
      response.writeHead(request.method === 'PUT' ? 501 : 200).end();
    });
    expect(await refusalOf(old)).toContain('does not implement If-None-Match');
  });

  it('refuses a store that lists keys in another order', async () => {
    const { store } = bucket;
    const unordered = changed((key, body, options) => store.put(key, body, options));
    unordered.list = async function* list(...args) {
      for await (const page of store.list(...args)) yield page.toReversed();
    };
    expect(await refusalOf(unordered)).toContain('order of keys');
  });

  it('is not misled by answers that get lost', async () => {
    let requests = 0;
    const outage = await startOutage(bucket.endpoint, (request) => {
      requests += request.method === 'PUT' ? 1 : 0;
      return request.method === 'PUT' && requests % 3 !== 0 ? 'lost' : 'pass';
    });
    const store = openStore({ ...bucket.settings, S3_ENDPOINT: outage.endpoint });
    for (let round = 0; round < 3; round += 1) {
      const name = `lost-${round}`;
      await assertConditionalPut(store, name).catch((error: unknown) => {
        // Five tries in a row may all be lost; a store must not be called unfit for that.
        expect(error).toMatchObject({ code: 'OBJECT_STORE', retryable: true });
      });
    }
    expect(outage.counts.get('lost')).toBeGreaterThan(10);
    store.close();
    await outage.close();
    expect(await keysUnder(bucket.store, '')).toEqual([]);
  });
});
