/**
 * Tells which tenant a request belongs to, by its API key, and whether the key allows what is
 * asked. It never reads the body and never names a key in an error.
 */
import { tenantPattern } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import { SettingError, TidemarkError } from '../../schemas/errors.ts';
import { digest, hex, keyPattern } from '../../schemas/key.ts';
import type { KeyRecord } from '../../schemas/key.ts';
import type { Settings } from '../../schemas/settings.ts';
import { KeyRing } from './keys.ts';
import type { KeyStore, KeyTools } from './keys.ts';

/** What a request asks for. */
export interface Wanted {
  /** The signal that it sends, `edge` to read the edge's own metrics, `read` the tenant's data. */
  readonly what: Signal | 'edge' | 'read';
  /** The tenant that its path names, as `/t/{tenant}/v1/…` does; decoded, but not checked. */
  readonly pathTenant?: string | undefined;
}

/** What a request was granted. */
export interface Grant {
  readonly tenantId: string;
  /** The key that it came with; none when TIDEMARK_AUTH is off. */
  readonly key: { readonly id: string; readonly record: KeyRecord } | undefined;
}

/** How requests are judged. */
export interface Access {
  /** Tenant of every request when TIDEMARK_AUTH is off. */
  readonly openTenantId: string | undefined;
  readonly ring: KeyRing;
  readonly now: () => number;
}

type AccessSettings = Pick<Settings, 'TIDEMARK_AUTH' | 'TIDEMARK_KEYS' | 'TIDEMARK_TENANT'>;

/** Throws SettingError for what cannot be used, and when no key can exist: it would serve nobody. */
export function readAccess(
  settings: AccessSettings,
  store: KeyStore | undefined,
  tools: KeyTools,
): Access {
  const { TIDEMARK_AUTH, TIDEMARK_KEYS, TIDEMARK_TENANT } = settings;
  const isOpen = TIDEMARK_AUTH === 'off';
  const ring = new KeyRing(TIDEMARK_KEYS, store, tools);
  if (!tenantPattern.test(TIDEMARK_TENANT)) {
    throw new SettingError(
      'TIDEMARK_TENANT',
      `Cannot use setting TIDEMARK_TENANT: a tenant's name must match ${tenantPattern.source}`,
    );
  }
  if (!isOpen && ring.isEmpty) {
    throw new SettingError(
      'TIDEMARK_KEYS',
      'Cannot serve without API keys: bind a KV namespace as KEYS or set TIDEMARK_KEYS',
    );
  }
  return { openTenantId: isOpen ? TIDEMARK_TENANT : undefined, ring, now: tools.now };
}

/**
 * Judges a request by its headers. Throws UNAUTHENTICATED without a valid key, FORBIDDEN when the
 * key does not allow this, KEY_STORE when keys cannot be looked up now, and SettingError when
 * TIDEMARK_AUTH is off for an address that others can reach. How long it takes does not
 * depend on how much of a key is right.
 */
export async function authorize(request: Request, wanted: Wanted, access: Access): Promise<Grant> {
  if (access.openTenantId !== undefined) return admitLocal(request, wanted, access.openTenantId);
  const [key = '', id] = keyPattern.exec(presentedKey(request.headers)) ?? [];
  const record = id === undefined ? undefined : await access.ring.find(id);
  const isSame = await matches(key, record);
  if (id === undefined || record === undefined || !isSame) {
    throw unauthenticated('it has no valid API key; `tidemark key create` makes one');
  }
  checkRecord(record, access.now());
  checkWanted(record, wanted);
  checkOrigin(record, request.headers.get('origin'));
  return { tenantId: record.tenant, key: { id, record } };
}

/**
 * The key that a request shows: in `x-api-key`, as a bearer token (RFC 6750), or as the password
 * of Basic (RFC 7617), whatever the user's name. Empty when there is none.
 */
export function presentedKey(headers: Headers): string {
  const own = headers.get('x-api-key');
  if (own !== null) return own.trim();
  const [, scheme = '', token = ''] =
    /^(Bearer|Basic) +(\S+) *$/i.exec(headers.get('authorization') ?? '') ?? [];
  return scheme.toLowerCase() === 'basic' ? passwordOf(token) : token;
}

function passwordOf(credentials: string): string {
  try {
    const text = atob(credentials);
    return text.slice(text.indexOf(':') + 1);
  } catch {
    return '';
  }
}

/** Compares hashes in constant time; without a record it does the same work for nothing. */
async function matches(key: string, record: KeyRecord | undefined): Promise<boolean> {
  const given = new TextEncoder().encode(hex(await digest(key)));
  const kept = new TextEncoder().encode(record?.hash ?? '0'.repeat(2 * 32));
  return crypto.subtle.timingSafeEqual(given, kept) && record !== undefined;
}

/** Says why a key that is right is not valid: whoever holds it may know. */
function checkRecord({ revoked, expires }: KeyRecord, nowMs: number): void {
  if (revoked !== undefined) throw unauthenticated('its API key was revoked');
  if (expires !== undefined && Date.parse(expires) <= nowMs) {
    throw unauthenticated('its API key has expired');
  }
}

function checkWanted(record: KeyRecord, { what, pathTenant }: Wanted): void {
  if (pathTenant !== undefined && pathTenant !== record.tenant) {
    throw forbidden('its API key belongs to another tenant than its path names');
  }
  if (what === 'edge') {
    if (record.metrics !== true) throw forbidden("its API key may not read the edge's metrics");
  } else if (what === 'read') {
    if (record.read !== true) throw forbidden('its API key may not read data');
  } else if (!record.signals.includes(what)) {
    throw forbidden(`its API key may not send ${what}`);
  }
}

/** A public key works from its origins alone. Other programs can claim any origin: see DEPLOY.md. */
function checkOrigin({ origins }: KeyRecord, origin: string | null): void {
  if (origins === undefined || (origin !== null && origins.includes(origin))) return;
  throw forbidden('its API key is for browsers, and not for this origin');
}

/**
 * Without keys, only what comes in through a loopback name is served. Under any other name this is
 * a deployment that was left open by mistake, or a page whose name was pointed at this machine.
 */
function admitLocal(request: Request, { pathTenant }: Wanted, openTenantId: string): Grant {
  if (!isLoopback(new URL(request.url).hostname)) {
    throw new SettingError(
      'TIDEMARK_AUTH',
      'Cannot serve without API keys: TIDEMARK_AUTH=off is for loopback addresses alone',
    );
  }
  const tenantId = pathTenant ?? openTenantId;
  if (!tenantPattern.test(tenantId)) {
    throw forbidden(`a tenant's name must match ${tenantPattern.source}`);
  }
  return { tenantId, key: undefined };
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
}

function unauthenticated(why: string): TidemarkError {
  return new TidemarkError('UNAUTHENTICATED', `Cannot accept the request: ${why}`);
}

function forbidden(why: string): TidemarkError {
  return new TidemarkError('FORBIDDEN', `Cannot accept the request: ${why}`);
}
