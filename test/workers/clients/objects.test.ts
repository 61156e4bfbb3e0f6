/** The object store client against a real R2 bucket and against servers that misbehave. */
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConflictError, TidemarkError } from '../../../schemas/errors.ts';
import { requestTriesMax } from '../../../schemas/limits.ts';
import { assertConditionalPut, openStore } from '../../../workers/clients/objects.ts';
import type { ObjectStore } from '../../../workers/clients/objects.ts';
import { startBucket } from '../../support/objects.ts';
import type { Bucket } from '../../support/objects.ts';

let bucket: Bucket;
let store: ObjectStore;
const servers: Server[] = [];

beforeAll(async () => {
  bucket = await startBucket();
  ({ store } = bucket);
});

afterAll(async () => {
  for (const server of servers) server.close();
  await bucket.close();
});

/** A store that talks to a server of our own, for answers that a good bucket never gives. */
async function storeOf(listener: RequestListener): Promise<ObjectStore> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  return openStore({ ...bucket.settings, S3_ENDPOINT: `http://127.0.0.1:${port}` });
}

async function keysOf(pages: AsyncIterable<readonly { key: string }[]>): Promise<string[][]> {
  const keys: string[][] = [];
  for await (const page of pages) keys.push(page.map(({ key }) => key));
  return keys;
}

async function errorOf(promise: Promise<unknown>): Promise<TidemarkError> {
  const error = await promise.then(
    () => undefined,
    (fault: unknown) => fault,
  );
  if (!(error instanceof TidemarkError))
    throw new Error(`wanted a TidemarkError, got ${String(error)}`);
  return error;
}

describe('openStore()', () => {
  it('put() and get() keep bytes, ranges too', async () => {
    const bytes = Uint8Array.from({ length: 1000 }, (_, index) => index % 251);
    await store.put('bytes/a+b=c', bytes);
    expect(await store.get('bytes/a+b=c')).toEqual(bytes);
    const range = { start: 10, end: 20 };
    expect(await store.get('bytes/a+b=c', { range })).toEqual(bytes.slice(10, 20));
    const last = { start: 990, end: 5000 };
    expect(await store.get('bytes/a+b=c', { range: last })).toEqual(bytes.slice(990));
    expect(await store.head('bytes/a+b=c')).toBe(1000);
  });

  it('put() stores bodies past the 2 MiB where the SDK would wait for 100 Continue', async () => {
    const bytes = new Uint8Array(20 * 1024 * 1024).fill(7);
    await store.put('bytes/large', bytes, { signal: AbortSignal.timeout(20_000) });
    expect(await store.head('bytes/large')).toBe(bytes.length);
  });

  it('get() and head() give undefined for a key that does not exist', async () => {
    expect(await store.get('nothing/here')).toBeUndefined();
    expect(await store.head('nothing/here')).toBeUndefined();
  });

  it('put() with ifNoneMatch throws ConflictError and leaves the first body', async () => {
    await store.put('once/key', 'first', { ifNoneMatch: '*' });
    const error = await errorOf(store.put('once/key', 'second', { ifNoneMatch: '*' }));
    expect(error).toBeInstanceOf(ConflictError);
    expect(error).toMatchObject({ code: 'CONFLICT', key: 'once/key', retryable: false });
    expect(new TextDecoder().decode(await store.get('once/key'))).toBe('first');
  });

  it('put() with ifNoneMatch lets exactly one of 20 racing writers win', async () => {
    const writers = Array.from({ length: 20 }, (_, index) =>
      store.put('race/key', String(index), { ifNoneMatch: '*' }),
    );
    const outcomes = await Promise.allSettled(writers);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('list() gives keys in order, pages of maxKeys, after startAfter', async () => {
    const names = ['a', 'b', 'c', 'd', 'e'].map((name) => `list/${name}`);
    await Promise.all(names.map((name) => store.put(name, name)));
    expect(await keysOf(store.list('list/', { maxKeys: 2 }))).toEqual([
      ['list/a', 'list/b'],
      ['list/c', 'list/d'],
      ['list/e'],
    ]);
    expect(await keysOf(store.list('list/', { startAfter: 'list/c' }))).toEqual([
      ['list/d', 'list/e'],
    ]);
    expect(await keysOf(store.list('list/nothing'))).toEqual([[]]);
  });

  it('list() goes on from its last key when keys are deleted between its pages', async () => {
    const names = ['a', 'b', 'c', 'd'].map((name) => `gone/${name}`);
    await Promise.all(names.map((name) => store.put(name, name)));
    const seen: string[] = [];
    for await (const page of store.list('gone/', { maxKeys: 1 })) {
      seen.push(...page.map(({ key }) => key));
      await store.delete(page.map(({ key }) => key));
    }
    expect(seen).toEqual(names);
  });

  it('listFolders() gives the folders right under a prefix', async () => {
    const names = ['folders/a/1', 'folders/a/b/2', 'folders/c/3', 'folders/file'];
    await Promise.all(names.map((name) => store.put(name, name)));
    expect(await store.listFolders('folders/')).toEqual(['folders/a/', 'folders/c/']);
  });

  it('delete() removes more than a thousand keys, and minds none that is absent', async () => {
    await store.put('many/0007', 'x');
    const keys = Array.from({ length: 1500 }, (_, index) => `many/${index + 1}`);
    await store.delete([...keys, 'many/0007']);
    expect(await keysOf(store.list('many/'))).toEqual([[]]);
  });

  it('delete() throws when the store says that a key of many could not be deleted', async () => {
    const partial = await storeOf((request, response) => {
      request.resume();
      response.writeHead(200, { 'content-type': 'application/xml' });
      response.end(
        '<DeleteResult><Error><Key>a</Key><Code>InternalError</Code></Error></DeleteResult>',
      );
    });
    const error = await errorOf(partial.delete(['a', 'b']));
    expect(error).toMatchObject({ code: 'OBJECT_STORE', retryable: true });
    expect(error.message).toContain('"a"');
  });

  it('get() tries again after 503, as often as requestTriesMax says, then is retryable', async () => {
    let tries = 0;
    const failing = await storeOf((_, response) => {
      tries += 1;
      response.writeHead(503).end();
    });
    expect(await errorOf(failing.get('key'))).toMatchObject({
      code: 'OBJECT_STORE',
      retryable: true,
    });
    expect(tries).toBe(requestTriesMax);
  });

  it('get() tries again when the body breaks off', async () => {
    let tries = 0;
    const breaking = await storeOf((_, response) => {
      tries += 1;
      response.writeHead(200, { 'content-length': '5' });
      if (tries === 1) response.write('wh', () => response.destroy());
      else response.end('whole');
    });
    expect(new TextDecoder().decode(await breaking.get('key'))).toBe('whole');
    expect(tries).toBe(2);
  });

  it('put() tries again after 409, which S3 gives to racing conditional writes', async () => {
    let tries = 0;
    const racing = await storeOf((_, response) => {
      tries += 1;
      response.writeHead(tries === 1 ? 409 : 412).end();
    });
    const error = await errorOf(racing.put('key', 'x', { ifNoneMatch: '*' }));
    expect(error).toBeInstanceOf(ConflictError);
    expect(tries).toBe(2);
  });

  it('put() says that a refused key is not retryable', async () => {
    const refusing = openStore({ ...bucket.settings, S3_SECRET_ACCESS_KEY: 'wrong' });
    const error = await errorOf(refusing.put('key', 'x'));
    expect(error).toMatchObject({ code: 'OBJECT_STORE', retryable: false });
    expect(error.message).toContain('Cannot write "key"');
    expect(error.message).toContain('403');
  });

  it('get() ends when its signal does', async () => {
    const silent = await storeOf(() => undefined);
    const error = await errorOf(silent.get('key', { signal: AbortSignal.timeout(50) }));
    expect(error.code).toBe('OBJECT_STORE');
    silent.close();
    servers.at(-1)?.closeAllConnections();
  });
});

describe('assertConditionalPut()', () => {
  it('accepts R2 and leaves nothing behind', async () => {
    await assertConditionalPut(store, 'probe-1');
    expect(await keysOf(store.list('_probe/'))).toEqual([[]]);
  });

  it('refuses a store that takes the second write', async () => {
    const careless = await storeOf((request, response) => {
      request.resume();
      response.writeHead(request.method === 'DELETE' ? 204 : 200).end();
    });
    expect(await errorOf(assertConditionalPut(careless, 'probe-2'))).toMatchObject({
      code: 'UNSUPPORTED_STORE',
      retryable: false,
    });
  });

  it('refuses a store that does not know the header', async () => {
    const old = await storeOf((request, response) => {
      request.resume();
      response.writeHead(request.method === 'PUT' ? 501 : 200).end();
    });
    const error = await errorOf(assertConditionalPut(old, 'probe-3'));
    expect(error.message).toContain('does not implement If-None-Match');
  });
});
