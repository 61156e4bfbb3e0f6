/**
 * What the read API has to know of a resource, as data: its parameters, its rows, and the query that
 * makes them. `api.ts` says which there are; how all are answered is the same.
 */
import { z } from '@hono/zod-openapi';
import {
  apiRangeMsDefault,
  apiRangeMsMax,
  apiRowsDefault,
  apiRowsMax,
  apiTextCharsMax,
} from '../../schemas/limits/api.ts';

/** One query. Its parameters are bound by ClickHouse (`{name:Type}`), never put into the text. */
export interface Read {
  readonly sql: string;
  readonly parameters: Readonly<Record<string, string | number>>;
}

export type Row = Readonly<Record<string, unknown>>;

/** Where a page begins: the sort value of the last row before it, and how many rows had that value. */
export interface Cursor {
  readonly at: string;
  readonly skip: number;
}

/** What a request asked for, its range checked and its defaults filled in. */
export type Asked<Query> = Query & {
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  readonly fromMs: number;
  readonly toMs: number;
  readonly rowsMax: number;
  readonly cursor: Cursor | undefined;
};

export interface Resource {
  /** Below `/api/v1`. */
  readonly path: string;
  readonly name: string;
  readonly summary: string;
  /** Parameters of the URL and of the path. */
  readonly query: z.ZodObject;
  readonly pathParameters?: z.ZodObject;
  readonly row: z.ZodObject;
  /** The query of a request whose parameters `query` has accepted. */
  readonly read: (asked: Asked<Record<string, unknown>>) => Read;
  /** Column whose value orders the rows of a resource that has pages, newest first. */
  readonly orderedBy?: string;
  /** Whether no rows mean that there is no such thing. */
  readonly isOneThing?: boolean;
}

/** A resource with the types of its parameters. */
export function resource<Query extends z.ZodObject, Path extends z.ZodObject = z.ZodObject>(
  of: Omit<Resource, 'query' | 'pathParameters' | 'read'> & {
    readonly query: Query;
    readonly pathParameters?: Path;
    readonly read: (asked: Asked<z.output<Query> & z.output<Path>>) => Read;
  },
): Resource {
  return of as unknown as Resource;
}

/** A text that a filter compares with. */
export function text(description: string) {
  return z.string().max(apiTextCharsMax).optional().openapi({ description });
}

const instant = z
  .union([z.iso.datetime({ offset: true }), z.string().regex(/^\d{1,15}$/)])
  .transform((given) => (/^\d+$/.test(given) ? Number(given) : Date.parse(given)))
  .optional();

/** The parameters of a resource that looks at a range of time. */
export const range = {
  from: instant.openapi({
    type: 'string',
    description: `Begin, inclusive: ISO 8601 or ms since 1970 (default ${apiRangeMsDefault / 60_000} min before the end)`,
    example: '2026-11-21T13:00:00Z',
  }),
  to: instant.openapi({
    type: 'string',
    description: `End, exclusive, at most ${apiRangeMsMax / 86_400_000} days after the begin (default now)`,
    example: '2026-11-21T14:00:00Z',
  }),
};

/** The day, UTC, of a resource that has one. */
export const date = z.iso.date().openapi({ description: 'Day, UTC', example: '2026-11-21' });

export const limit = z.coerce
  .number()
  .int()
  .min(1)
  .max(apiRowsMax)
  .default(apiRowsDefault)
  .openapi({ description: 'Rows of the answer at most' });

/** Where the page before ended, as its answer said under `next`. */
export const cursor = z
  .string()
  .regex(/^\d{1,20}\.\d{1,6}$/)
  .optional()
  .openapi({ description: '`next` of the page before' });

export const layer = z.enum(['batch', 'realtime']);

/** Conditions that hold, joined; those without a value are left out. */
export function where(conditions: readonly (string | false | undefined)[]): string {
  const given = conditions.filter((condition) => typeof condition === 'string');
  return given.length === 0 ? '' : `WHERE ${given.join(' AND ')}`;
}

/** The values that were given, for the query's parameters. */
export function bound(
  values: Readonly<Record<string, string | number | undefined>>,
): Record<string, string | number> {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as Record<string, string | number>;
}
