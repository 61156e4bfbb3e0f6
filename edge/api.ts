/**
 * The read API's conductor, below `/api/v1`: says which resources there are, and answers each the
 * same way: authorize → check parameters → read → respond. Its OpenAPI document is made of the same
 * data. It decides nothing that a resource decides.
 */
import { Hono } from 'hono';
import type { Context } from 'hono';
import * as z from 'zod/mini';
import { TidemarkError } from '../schemas/errors.ts';
import {
  apiFinalSeconds,
  apiLiveSeconds,
  apiRangeMsDefault,
  apiRangeMsMax,
  apiRowsDefault,
} from '../schemas/limits/api.ts';
import { documentOf, wantedOf } from './api/openapi.ts';
import { lookUp } from './api/lookup.ts';
import { badParameters, problem, problemOf, wrongMethod } from './api/problem.ts';
import type { ParameterFault } from './api/problem.ts';
import { readRows } from './api/read.ts';
import { isWhole } from './api/resource.ts';
import type { Asked, Cursor, Resource, Row } from './api/resource.ts';
import { resources } from './api/resources.ts';
import type { Isolate } from './export.ts';
import { authorize } from './tenant/authorize.ts';
import { preflight } from './tenant/cors.ts';
import manifest from '../package.json' with { type: 'json' };

/** The routes of the API. */
export function apiOf(isolate: Isolate): Hono {
  const api = new Hono();
  for (const resource of resources) {
    const path = resource.path.replaceAll(/\{(\w+)\}/g, ':$1');
    api.get(path, (context) => answer(isolate, resource, context));
    api.options(path, () => preflight('GET'));
    api.all(path, ({ req }) => wrongMethod(req.method));
  }
  api.get('/openapi.json', (context) => context.json(documentOf(resources, manifest.version)));
  api.all('*', () => problem(404, 'Not found', 'Cannot serve this path: see /api/v1/openapi.json'));
  api.onError((error) => {
    if (!(error instanceof TidemarkError))
      isolate.tools.warn(`Bug: ${error.stack ?? error.message}`);
    return problemOf(error);
  });
  return api;
}

async function answer(isolate: Isolate, resource: Resource, context: Context): Promise<Response> {
  const { access, settings, tools } = isolate;
  const { tenantId } = await authorize(context.req.raw, { what: 'read' }, access);
  const asked = askedOf(resource, context, tools.now());
  if (asked instanceof Response) return asked;
  const stored = await readRows(resource.read(asked), tenantId, settings, tools);
  const traceId = stored.length === 0 ? resource.archivedTrace?.(asked) : undefined;
  const rows = traceId === undefined ? stored : await lookUp(traceId, tenantId, settings, tools);
  if (resource.isOneThing === true && rows.length === 0) {
    throw new TidemarkError('NOT_FOUND', `Cannot find this ${resource.name}`);
  }
  const next = nextOf(resource, rows, asked);
  const steps = resource.stepsOf?.(rows);
  const isFinal =
    rows.length > 0 &&
    rows.every((row) => row['isFinal'] === true) &&
    (steps === undefined || isWhole(steps, asked));
  const seconds = isFinal ? apiFinalSeconds : apiLiveSeconds;
  return context.json({ data: rows, ...(next !== undefined && { next }) }, 200, {
    'Cache-Control': seconds > 0 ? `private, max-age=${seconds}` : 'no-store',
    Vary: 'Authorization, X-Api-Key',
  });
}

/** What is asked for, or the answer to parameters that cannot be used. */
function askedOf(
  resource: Resource,
  context: Context,
  nowMs: number,
): Asked<Record<string, unknown>> | Response {
  const { query, pathParameters = z.object({}) } = resource;
  const wanted = { ...query.shape, ...pathParameters.shape };
  const given = z
    .strictObject(wanted)
    .safeParse({ ...context.req.query(), ...context.req.param() });
  if (!given.success) {
    return badParameters(given.error.issues.flatMap((issue) => faultsOf(issue, wanted)));
  }
  const values = given.data as Record<string, unknown>;
  const { from, to, limit = apiRowsDefault, cursor } = values;
  const toMs = typeof to === 'number' ? to : nowMs;
  const fromMs = typeof from === 'number' ? from : toMs - apiRangeMsDefault;
  if (toMs <= fromMs || toMs - fromMs > apiRangeMsMax) {
    const detail = `wanted an end after the begin, and at most ${apiRangeMsMax} ms of range`;
    return badParameters([{ parameter: 'to', detail }]);
  }
  return { ...values, fromMs, toMs, rowsMax: Number(limit), cursor: cursorOf(cursor) };
}

function faultsOf(
  issue: z.core.$ZodIssue,
  wanted: Readonly<Record<string, z.core.$ZodType>>,
): ParameterFault[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((parameter) => ({ parameter, detail: 'there is no such parameter' }));
  }
  const parameter = issue.path.join('.');
  const schema = wanted[parameter];
  return [{ parameter, detail: schema === undefined ? issue.message : wantedOf(schema) }];
}

function cursorOf(given: unknown): Cursor | undefined {
  if (typeof given !== 'string') return undefined;
  const [at = '0', skip = '0'] = given.split('.');
  return { at, skip: Number(skip) };
}

/** Where the next page begins, if there may be one: rows of one time may lie on both. */
function nextOf(
  { orderedBy }: Resource,
  rows: readonly Row[],
  { rowsMax, cursor }: Asked<object>,
): string | undefined {
  if (orderedBy === undefined || rows.length < rowsMax) return undefined;
  const at = String(rows.at(-1)?.[orderedBy]);
  const same = rows.filter((row) => row[orderedBy] === at).length;
  return `${at}.${same === rows.length && cursor?.at === at ? same + cursor.skip : same}`;
}
