/**
 * `tidemark key`: makes, shows and revokes API keys. A key is shown once, when it is made; only its
 * hash is kept, in Workers KV (through wrangler) or wherever the user puts the record.
 */
import path from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { tenantPattern } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import {
  digest,
  hex,
  keyIdPattern,
  keyOf,
  keyPattern,
  keyRandomBytes,
  rateClasses,
  recordName,
  recordPrefix,
  toKeyRecord,
} from '../../schemas/key.ts';
import type { KeyRecord, RateClass } from '../../schemas/key.ts';
import { isDay } from '../../schemas/period.ts';
import { table } from '../../dev/table.ts';
import type { Context } from '../context.ts';
import { settingsOf } from '../context.ts';
import { getValues, listNames, putArguments, putValue } from '../kv.ts';
import type { KvOptions, KvTarget } from '../kv.ts';

interface PlaceFlags {
  readonly env: string;
  readonly local?: boolean;
  readonly data?: string;
  readonly json?: boolean;
}

interface CreateFlags extends PlaceFlags {
  readonly tenant: string;
  readonly signals: Signal[];
  readonly metrics?: boolean;
  readonly read?: boolean;
  readonly origin?: string[];
  readonly rate?: RateClass;
  readonly bytesPerMinute?: number;
  readonly itemsPerMinute?: number;
  readonly expires?: string;
  readonly note?: string;
  readonly put?: boolean;
}

const signals: readonly Signal[] = ['traces', 'metrics', 'logs'];

/** The commands `key create`, `key list` and `key revoke`. */
export function keyCommand(context: Context): Command {
  const list = new Command('list')
    .description('show the records of all keys')
    .action((flags: PlaceFlags) => listKeys(context, flags));
  const revoke = new Command('revoke')
    .description('end a key; isolates that know it may take it for two minutes more')
    .argument('<id>', "the key's id, or the whole key")
    .action((text: string, flags: PlaceFlags, command: Command) =>
      revokeKey(context, text, flags, command),
    );
  const all = [createCommand(context), list, revoke];
  for (const command of all) {
    command
      .option('--env <name>', 'environment of wrangler.toml whose namespace it is', 'production')
      .option('--local', 'the namespace of the embedded stack instead')
      .option('--data <directory>', 'where the embedded stack is kept (TIDEMARK_DATA, .tidemark)')
      .option('--json', 'print the result as one line of JSON');
  }
  const key = new Command('key').description('make, show and revoke API keys');
  for (const command of all) key.addCommand(command);
  return key;
}

function createCommand(context: Context): Command {
  return new Command('create')
    .description('make a key and print it, this once')
    .requiredOption('--tenant <name>', 'the tenant that it sends as', tenant)
    .option('--signals <list>', 'what it may send, such as traces,logs', signalList, [...signals])
    .option('--metrics', "it may read the edge's own metrics")
    .option('--read', "it may read its tenant's data through the API")
    .option('--origin <origin>', 'a public key for browsers on this origin; repeatable', origin)
    .addOption(
      new Option('--rate <class>', 'requests a second, of this key alone').choices(rateClasses),
    )
    .option('--bytes-per-minute <number>', 'inflated bytes, of this key alone', wholeNumber)
    .option('--items-per-minute <number>', 'items, of this key alone', wholeNumber)
    .option('--expires <when>', 'such as 90d, 12h, or 2027-01-31T00:00:00Z')
    .option('--note <text>', 'what it is for')
    .option('--put', 'write its record to Workers KV, with wrangler')
    .action((flags: CreateFlags, command: Command) => createKey(context, flags, command));
}

async function createKey(context: Context, flags: CreateFlags, command: Command): Promise<void> {
  const { id, key } = keyOf(crypto.getRandomValues(new Uint8Array(keyRandomBytes)));
  const nowMs = context.now();
  const record = toKeyRecord({
    version: 1,
    hash: hex(await digest(key)),
    tenant: flags.tenant,
    signals: flags.signals,
    ...defined({
      metrics: flags.metrics,
      read: flags.read,
      origins: flags.origin,
      rate: flags.rate,
      bytesPerMinute: flags.bytesPerMinute,
      itemsPerMinute: flags.itemsPerMinute,
      note: flags.note,
      expires: expiry(flags.expires, nowMs, command),
    }),
    created: new Date(nowMs).toISOString(),
  });
  if (record === undefined) command.error('error: too many origins, or the note is too long');
  const value = JSON.stringify(record);
  const options = kvOptions(context, flags);
  // A key is shown only once it is stored: one that nobody knows does no harm.
  if (flags.put) await putValue(recordName(id), value, options);
  if (record.origins !== undefined) {
    context.stderr.write('TIDEMARK_CORS_ORIGINS has to admit its origins as well.\n');
  }
  if (flags.json) {
    context.stdout.write(`${JSON.stringify({ id, key, record, stored: flags.put ?? false })}\n`);
    return;
  }
  context.stdout.write(`${key}\n`);
  context.stderr.write(
    flags.put
      ? `Stored as ${id}. This is the only time that the key is shown.\n`
      : `${storing(id, value, options.target)}\n`,
  );
}

function storing(id: string, value: string, target: KvTarget): string {
  const args = putArguments(recordName(id), value, target);
  const quoted = args.map((text) =>
    /^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`,
  );
  return `
This is the only time that the key is shown. It works once its record is stored:

  npx wrangler ${quoted.join(' ')}

or as an entry of TIDEMARK_KEYS:

  "${id}": ${value}`;
}

async function listKeys(context: Context, flags: PlaceFlags): Promise<void> {
  const options = kvOptions(context, flags);
  const values = await getValues(await listNames(recordPrefix, options), options);
  const keys = [...values].map(([name, value]) => ({
    id: name.slice(recordPrefix.length),
    record: parse(value),
  }));
  if (flags.json) {
    const shown = keys.map(({ id, record }) => ({ id, ...record, hash: undefined }));
    context.stdout.write(`${JSON.stringify(shown)}\n`);
    return;
  }
  const titles = ['id', 'tenant', 'state', 'may', 'limits', 'created', 'note'];
  const rows = keys.map(({ id, record }) => describe(id, record, context.now()));
  context.stdout.write(
    table(
      titles.map((title) => ({ title })),
      rows,
    ),
  );
}

async function revokeKey(
  context: Context,
  text: string,
  flags: PlaceFlags,
  command: Command,
): Promise<void> {
  const id = keyPattern.exec(text)?.[1] ?? text;
  if (!keyIdPattern.test(id)) command.error('error: this is neither a key nor the id of one');
  const options = kvOptions(context, flags);
  const name = recordName(id);
  const value = (await getValues([name], options)).get(name);
  const record = value === undefined ? undefined : parse(value);
  if (record === undefined) {
    throw new TidemarkError('NOT_FOUND', `Cannot revoke key ${id}: Workers KV has no record of it`);
  }
  const revoked = record.revoked ?? new Date(context.now()).toISOString();
  if (record.revoked === undefined) {
    await putValue(name, JSON.stringify({ ...record, revoked }), options);
  }
  const result = { id, tenant: record.tenant, revoked };
  context.stdout.write(
    flags.json
      ? `${JSON.stringify(result)}\n`
      : `Key ${id} of tenant ${record.tenant} is revoked since ${revoked}\n`,
  );
}

/** One row of the list. A record that cannot be read is shown as such: the edge refuses it. */
function describe(id: string, record: KeyRecord | undefined, nowMs: number): string[] {
  if (record === undefined) return [id, '', 'malformed', '', '', '', ''];
  const may = [
    ...record.signals,
    ...(record.metrics ? ['edge metrics'] : []),
    ...(record.read ? ['read'] : []),
  ].join(' ');
  const from = record.origins === undefined ? '' : ` from ${record.origins.join(' ')}`;
  const limits = [
    record.rate ?? '',
    record.bytesPerMinute === undefined ? '' : `${record.bytesPerMinute} bytes/min`,
    record.itemsPerMinute === undefined ? '' : `${record.itemsPerMinute} items/min`,
  ];
  return [
    id,
    record.tenant,
    stateOf(record, nowMs),
    `${may}${from}`,
    limits.filter((text) => text !== '').join(', ') || "the tenant's",
    record.created.slice(0, 10),
    record.note ?? '',
  ];
}

function stateOf({ revoked, expires }: KeyRecord, nowMs: number): string {
  if (revoked !== undefined) return `revoked ${revoked.slice(0, 10)}`;
  if (expires === undefined) return 'valid';
  const isOver = Date.parse(expires) <= nowMs;
  return `${isOver ? 'expired' : 'valid until'} ${expires.slice(0, 10)}`;
}

function kvOptions(context: Context, flags: PlaceFlags): KvOptions {
  const { environment, signal } = context;
  if (!flags.local)
    return { target: { env: flags.env, directory: undefined }, environment, signal };
  const { TIDEMARK_DATA } = settingsOf(context, { TIDEMARK_DATA: flags.data });
  const directory = path.resolve(TIDEMARK_DATA, 'edge');
  return { target: { env: undefined, directory }, environment, signal };
}

function parse(value: string): KeyRecord | undefined {
  try {
    return toKeyRecord(JSON.parse(value));
  } catch {
    return undefined;
  }
}

function defined(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** The end of a key as ISO 8601: a number of days or hours from now, or a time with its zone. */
function expiry(text: string | undefined, nowMs: number, command: Command): string | undefined {
  if (text === undefined) return undefined;
  const [, count, unit] = /^(\d{1,5})([dh])$/.exec(text) ?? [];
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)$/.test(text);
  const ms = count
    ? nowMs + Number(count) * (unit === 'd' ? 86_400_000 : 3_600_000)
    : Date.parse(text);
  if ((count === undefined && !(isTime && isDay(text))) || !(ms > nowMs)) {
    command.error('error: --expires wants a time to come, such as 90d or 2027-01-31T00:00:00Z');
  }
  return new Date(ms).toISOString();
}

function tenant(text: string): string {
  if (tenantPattern.test(text)) return text;
  throw new InvalidArgumentError(`It does not match ${tenantPattern.source}`);
}

function signalList(text: string): Signal[] {
  const names = text.split(',').map((name) => name.trim());
  const known = signals.filter((signal) => names.includes(signal));
  if (text !== '' && known.length !== new Set(names).size) {
    throw new InvalidArgumentError(`It is not a list of ${signals.join(', ')}`);
  }
  return known;
}

/** Origins as browsers send them: scheme, host and port, nothing after. */
function origin(text: string, before: string[] = []): string[] {
  const parsed = URL.canParse(text) ? new URL(text) : undefined;
  const bare = text.replace(/\/$/, '');
  // Schemes of apps have the origin "null" for URL, but a real one for their browsers.
  if (parsed?.host && [parsed.origin, `${parsed.protocol}//${parsed.host}`].includes(bare)) {
    return [...before, bare];
  }
  throw new InvalidArgumentError('It is not an origin such as https://shop.example');
}

function wholeNumber(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It is not a whole number above 0');
}
