/**
 * Says what browsers may do: which origins may send telemetry (Fetch standard, "CORS protocol").
 * It never allows credentials such as cookies; an API key is a plain header.
 */
import { preflightSeconds } from '../../schemas/limits.ts';

/** Origins that are admitted, or `*` for any. */
export type Origins = '*' | ReadonlySet<string>;

/** Reads a comma-separated list of origins; `*` anywhere in it admits any. */
export function readOrigins(list: string): Origins {
  const origins = list.split(',').map((origin) => origin.trim().replace(/\/$/, ''));
  return origins.includes('*') ? '*' : new Set(origins.filter((origin) => origin !== ''));
}

/** Adds to `headers` what every answer to a request from `origin` carries, errors included. */
export function allowOrigin(headers: Headers, origin: string | null, origins: Origins): void {
  headers.append('Vary', 'Origin');
  if (origins === '*') headers.set('Access-Control-Allow-Origin', '*');
  else if (origin !== null && origins.has(origin)) {
    headers.set('Access-Control-Allow-Origin', origin);
  } else return;
  headers.set('Access-Control-Expose-Headers', 'Retry-After');
}

/** The answer to a preflight, before `allowOrigin`; `method` is what may be asked for. */
export function preflight(method: string): Response {
  return new Response(null, {
    status: 204,
    headers: {
      'Access-Control-Allow-Methods': method,
      'Access-Control-Allow-Headers': 'Authorization, X-Api-Key, Content-Type, Content-Encoding',
      'Access-Control-Max-Age': String(preflightSeconds),
    },
  });
}
