/**
 * Tells which tenant a request belongs to, by its bearer token. It never reads the body and never
 * names a token in an error.
 */
import { tenantPattern } from '../schemas/archive.ts';
import { SettingError, TidemarkError } from '../schemas/errors.ts';
import type { Settings } from '../schemas/settings.ts';

/** Tokens are compared in buffers of this many bytes, the first of which holds the length. */
const tokenBufferBytes = 256;

export interface Access {
  /** Tenant of every request when there are no tokens. */
  readonly tenantId: string;
  readonly tokens: readonly { readonly tenantId: string; readonly padded: Uint8Array }[];
}

type AccessSettings = Pick<Settings, 'TIDEMARK_TENANT' | 'TIDEMARK_TOKENS'>;

/** Reads `tenant=token,tenant=token`. Throws SettingError for what cannot be used. */
export function readAccess(settings: AccessSettings): Access {
  const { TIDEMARK_TENANT: tenantId, TIDEMARK_TOKENS: list } = settings;
  checkTenant('TIDEMARK_TENANT', tenantId);
  const pairs = list.split(',').map((text) => text.trim());
  const tokens = pairs.filter((text) => text !== '').map(readToken);
  return { tenantId, tokens };
}

/**
 * The tenant that an Authorization header admits to. `pathTenant` is the one that the path names,
 * if it does: it must be the same, and chooses when there are no tokens. Throws UNAUTHENTICATED
 * and FORBIDDEN. The time it takes does not depend on how much of a token is right.
 */
export function authorize(header: string | null, access: Access, pathTenant?: string): string {
  if (access.tokens.length === 0) return pathTenant ?? access.tenantId;
  const tenantId = admit(header, access);
  if (pathTenant === undefined || pathTenant === tenantId) return tenantId;
  throw new TidemarkError(
    'FORBIDDEN',
    'Cannot accept the request: its token is not of the tenant that the path names',
  );
}

function admit(header: string | null, access: Access): string {
  const [, given = ''] = /^Bearer +(\S+) *$/i.exec(header ?? '') ?? [];
  const padded = pad(given);
  let found: string | undefined;
  for (const token of access.tokens) {
    const same = crypto.subtle.timingSafeEqual(
      token.padded,
      padded ?? new Uint8Array(tokenBufferBytes),
    );
    if (same && padded !== undefined) found = token.tenantId;
  }
  if (found !== undefined) return found;
  throw new TidemarkError(
    'UNAUTHENTICATED',
    'Cannot accept the request: it has no valid bearer token in its Authorization header',
  );
}

function readToken(pair: string): { tenantId: string; padded: Uint8Array } {
  const equals = pair.indexOf('=');
  const tenantId = equals < 0 ? '' : pair.slice(0, equals).trim();
  checkTenant('TIDEMARK_TOKENS', tenantId);
  const padded = pad(pair.slice(equals + 1).trim());
  if (padded !== undefined) return { tenantId, padded };
  throw new SettingError(
    'TIDEMARK_TOKENS',
    `Cannot use setting TIDEMARK_TOKENS: the token of tenant "${tenantId}" is empty or too long`,
  );
}

function checkTenant(setting: string, tenantId: string): void {
  if (tenantPattern.test(tenantId)) return;
  throw new SettingError(
    setting,
    `Cannot use setting ${setting}: a tenant's name must match ${tenantPattern.source}`,
  );
}

/** A token in a buffer of fixed size, or undefined when it is empty or too long for one. */
function pad(token: string): Uint8Array | undefined {
  const bytes = new TextEncoder().encode(token);
  if (bytes.length === 0 || bytes.length >= tokenBufferBytes) return undefined;
  const padded = new Uint8Array(tokenBufferBytes);
  padded[0] = bytes.length;
  padded.set(bytes, 1);
  return padded;
}
