/** The object store client on real servers of different makes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConflictError } from '../../../../schemas/errors.ts';
import { objectInPartsBytesMin } from '../../../../schemas/limits.ts';
import { openStore } from '../../../../workers/clients/store/objects.ts';
import type { ObjectStore } from '../../../../workers/clients/store/objects.ts';
import { startVersity } from '../../../support/gateway.ts';
import { startBucket } from '../../../support/objects.ts';
import type { Bucket } from '../../../support/objects.ts';
import { versitygw } from '../../../support/peers.ts';
import { errorOf } from '../../../support/unwell.ts';

const versity = await versitygw();

async function keysOf(pages: AsyncIterable<readonly { key: string }[]>): Promise<string[][]> {
  const keys: string[][] = [];
  for await (const page of pages) keys.push(page.map(({ key }) => key));
  return keys;
}

const sums = ['crc32', 'sha256', 'off'];

/** With the checksums that a large object is tried with: Miniflare's R2 knows none of them. */
const makes = [
  { make: "Miniflare's R2", inParts: ['crc32'], missing: false, open: startBucket },
  {
    make: 'versitygw',
    inParts: sums,
    missing: 'missing' in versity,
    open: () => startVersity('path' in versity ? versity.path : ''),
  },
];

for (const { make, inParts, missing, open } of makes)
  describe.skipIf(missing)(`openStore() on ${make}`, () => {
    let own: Bucket;
    let store: ObjectStore;

    beforeAll(async () => {
      own = await open();
      ({ store } = own);
    });

    afterAll(async () => {
      await own.close();
    });

    it('put() and get() keep bytes, ranges too', async () => {
      const bytes = Uint8Array.from({ length: 1000 }, (_, index) => index % 251);
      await store.put('bytes/a+b=c', bytes);
      expect(await store.get('bytes/a+b=c')).toEqual(bytes);
      const range = { start: 10, end: 20 };
      expect(await store.get('bytes/a+b=c', { range })).toEqual(bytes.slice(10, 20));
      const last = { start: 990, end: 5000 };
      expect(await store.get('bytes/a+b=c', { range: last })).toEqual(bytes.slice(990));
      const into = new Uint8Array(32);
      expect(await store.get('bytes/a+b=c', { range, into })).toEqual(bytes.slice(10, 20));
      expect(into.subarray(0, 10)).toEqual(bytes.slice(10, 20));
      const small = new Uint8Array(9);
      expect(await store.get('bytes/a+b=c', { range, into: small })).toEqual(bytes.slice(10, 20));
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

    it.for(inParts)('put() stores what is large in parts, with checksum %s', async (checksum) => {
      const other = openStore({ ...own.settings, S3_CHECKSUM: checksum });
      const bytes = new Uint8Array(objectInPartsBytesMin + 1_234_567);
      for (let at = 0; at < bytes.length; at += 997) bytes[at] = at % 251;
      await other.put('bytes/in parts', bytes, { signal: AbortSignal.timeout(60_000) });
      expect(await store.head('bytes/in parts')).toBe(bytes.length);
      expect(Buffer.compare((await other.get('bytes/in parts')) ?? new Uint8Array(), bytes)).toBe(
        0,
      );
      const [start, end] = [16_777_000, 16_778_000];
      const part = await store.get('bytes/in parts', { range: { start, end } });
      expect(part).toEqual(bytes.slice(start, end));
      other.close();
    });

    it.for(sums)('put(), get() and delete() work with checksum %s', async (checksum) => {
      const other = openStore({ ...own.settings, S3_CHECKSUM: checksum });
      const key = `sums/${checksum}`;
      await other.put(key, 'body', { ifNoneMatch: '*' });
      expect(new TextDecoder().decode(await other.get(key))).toBe('body');
      expect(new TextDecoder().decode(await store.get(key))).toBe('body');
      await other.delete([key]);
      expect(await store.head(key)).toBeUndefined();
      other.close();
    });

    it('get() of a bucket that does not exist is an error, not a missing key', async () => {
      const other = openStore({ ...own.settings, S3_BUCKET: 'nowhere' });
      expect(await errorOf(other.get('key'))).toMatchObject({
        code: 'OBJECT_STORE',
        retryable: false,
      });
      other.close();
    });
  });
