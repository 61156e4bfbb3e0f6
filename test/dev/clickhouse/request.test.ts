/** Reading of ClickHouse's HTTP interface: URL and headers. */
import { describe, expect, it } from 'vitest';
import { quoteText, readRequest } from '../../../dev/clickhouse/request.ts';

const read = (url: string, headers = {}, isGet = false) =>
  readRequest(new URLSearchParams(url), headers, isGet);

const basic = (text: string) => ({
  authorization: `Basic ${Buffer.from(text).toString('base64')}`,
});

describe('readRequest()', () => {
  it('turns database, settings and parameters into statements that cannot be broken out of', () => {
    const request = read("database=a`b&max_threads=2&param_x=it's\\&query=SELECT 1");
    expect(request.setup).toEqual(['USE `a\\`b`', "SET max_threads = '2', param_x = 'it\\'s\\\\'"]);
    expect(request.query).toBe('SELECT 1');
  });

  it('needs no statements for the plain request of a client', () => {
    const plain = 'query_id=q&database=default&async_insert=1&wait_for_async_insert=1';
    expect(read(`${plain}&enable_http_compression=1`)).toMatchObject({
      queryId: 'q',
      setup: [],
      asyncInsert: 'wait',
      compressAnswer: true,
      defaultFormat: 'TabSeparated',
    });
    expect(read('async_insert=1&wait_for_async_insert=0').asyncInsert).toBe('forget');
    expect(read('async_insert=0').asyncInsert).toBe('no');
  });

  it('takes the token of an asynchronous insert, and leaves it to the engine else', () => {
    expect(read('insert_deduplication_token=t&async_insert=1')).toMatchObject({
      setup: [],
      asyncToken: 't',
    });
    expect(read('insert_deduplication_token=t')).toMatchObject({
      setup: ["SET insert_deduplication_token = 't'"],
      asyncToken: undefined,
    });
  });

  it('makes GET read-only, last of all settings', () => {
    expect(read('max_threads=2', {}, true).setup).toEqual([
      "SET max_threads = '2', readonly = '2'",
    ]);
    expect(read('readonly=1&max_threads=2', {}, true).setup).toEqual([
      "SET max_threads = '2', readonly = '1'",
    ]);
  });

  it('knows only the user default without a password, however it is sent', () => {
    expect(() => read('', basic('default:'))).not.toThrow();
    expect(() => read('user=default&password=', { 'x-clickhouse-user': 'default' })).not.toThrow();
    for (const [url, headers] of [
      ['', basic('default:secret')],
      ['', basic('root:')],
      ['user=root', {}],
      ['password=x', {}],
      ['', { 'x-clickhouse-key': 'x' }],
      ['', { authorization: 'Bearer token' }],
    ] as const) {
      expect(() => read(url, headers)).toThrow(expect.objectContaining({ clickhouseCode: 516 }));
    }
  });

  it('knows what native clients ask for', () => {
    const native = 'client_protocol_version=54460&compress=1&decompress=1';
    expect(read(native)).toMatchObject({ revision: 54_460, framesAnswer: true, framesBody: true });
    expect(read(native).setup).toEqual([]);
    const plain = { revision: 0, framesAnswer: false, framesBody: false };
    expect(read('compress=0&decompress=0')).toMatchObject(plain);
  });

  it('refuses what it cannot do and names that are none', () => {
    for (const name of ['session_id=1', 'role=x']) {
      expect(() => read(name)).toThrow(expect.objectContaining({ clickhouseCode: 48 }));
    }
    expect(() => read('a%3B%20DROP%20TABLE%20x=2')).toThrow(
      expect.objectContaining({ clickhouseCode: 115 }),
    );
  });
});

describe('quoteText()', () => {
  it('escapes quotes and backslashes', () => {
    expect(quoteText("a'b\\")).toBe("'a\\'b\\\\'");
  });
});
