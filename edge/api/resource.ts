/**
 * What the read API has to know of a resource, as data: its parameters, its rows, and the query that
 * makes them. `api.ts` says which there are; how all are answered is the same.
 */
import * as z from 'zod/mini';
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
  readonly fromMs: number;
  readonly toMs: number;
  readonly rowsMax: number;
  readonly cursor: Cursor | undefined;
};

/** The steps of a range that an answer has. */
export interface StepsSeen {
  readonly begins: readonly unknown[];
  readonly stepSeconds: number;
}

export interface Resource {
  /** Below `/api/v1`. */
  readonly path: string;
  readonly name: string;
  readonly summary: string;
  /** Parameters of the URL and of the path. */
  readonly query: z.ZodMiniObject;
  readonly pathParameters?: z.ZodMiniObject;
  readonly row: z.ZodMiniObject;
  /** The query of a request whose parameters `query` has accepted. */
  readonly read: (asked: Asked<Record<string, unknown>>) => Read;
  /** Column whose value orders the rows of a resource that has pages, newest first. */
  readonly orderedBy?: string;
  /** Begins of the steps that rows tell of, where more rows of the range may come for others. */
  readonly stepsOf?: (rows: readonly Row[]) => StepsSeen;
  /** Whether no rows mean that there is no such thing. */
  readonly isOneThing?: boolean;
  /** The trace that is looked for in the archive where ClickHouse has no row. */
  readonly archivedTrace?: (asked: Asked<Record<string, unknown>>) => string;
}

/** A resource with the types of its parameters. */
export function resource<
  Query extends z.ZodMiniObject,
  Path extends z.ZodMiniObject = z.ZodMiniObject,
>(
  of: Omit<Resource, 'query' | 'pathParameters' | 'read' | 'archivedTrace'> & {
    readonly query: Query;
    readonly pathParameters?: Path;
    readonly read: (asked: Asked<z.output<Query> & z.output<Path>>) => Read;
    readonly archivedTrace?: (asked: Asked<z.output<Query> & z.output<Path>>) => string;
  },
): Resource {
  return of as unknown as Resource;
}

/** A text that a filter compares with. */
export function text(description: string) {
  const given = z.string().check(z.maxLength(apiTextCharsMax));
  return z.optional(given.check(z.describe(description)));
}

/** A schema with what the document says of it. */
export function described<Schema extends z.ZodMiniType>(
  schema: Schema,
  description: string,
): Schema {
  return schema.check(z.describe(description));
}

function instant(description: string) {
  const given = z.union([
    z.iso.datetime({ offset: true }),
    z.string().check(z.regex(/^\d{1,15}$/)),
  ]);
  const ms = z.transform((sent: string) => (/^\d+$/.test(sent) ? Number(sent) : Date.parse(sent)));
  return z.optional(z.pipe(described(given, description), ms));
}

/** The parameters of a resource that looks at a range of time. */
export const range = {
  from: instant(
    'Begin, inclusive: ISO 8601, as 2026-11-21T13:00:00Z, or ms since 1970 ' +
      `(default ${apiRangeMsDefault / 60_000} min before the end)`,
  ),
  to: instant(
    `End, exclusive, at most ${apiRangeMsMax / 86_400_000} days after the begin (default now)`,
  ),
};

/** The day, UTC, of a resource that has one. */
export const date = described(z.iso.date(), 'Day, UTC, such as 2026-11-21');

/** A number in the text of a parameter. */
export function number(description: string, min: number, max: number) {
  return described(z.coerce.number().check(z.gte(min), z.lte(max)), description);
}

const whole = z.multipleOf(1);

export const limit = z.optional(
  number(`Rows of the answer at most (default ${apiRowsDefault})`, 1, apiRowsMax).check(whole),
);

/** Where the page before ended, as its answer said under `next`. */
export const cursor = z.optional(
  described(z.string().check(z.regex(/^\d{1,20}\.\d{1,6}$/)), '`next` of the page before'),
);

export const layer = z.enum(['batch', 'realtime']);

/** What a row of a merged view says of the layer that it comes from. */
export const provenance = {
  layer,
  runId: described(z.string(), 'Empty of rows that are live'),
  isFinal: z.boolean(),
  watermark: described(z.string(), 'Everything received before this is in the run'),
};

export const hexTraceId = described(
  z.string().check(z.regex(/^[0-9a-fA-F]{32}$/)),
  '32 hex digits',
);

/** The parameters of a query over the range: its begin, its end, and the rows wanted. */
export function rangeOf({ fromMs, toMs, rowsMax }: Asked<object>) {
  return { from: fromMs, to: toMs, rows: rowsMax };
}

/** Whether the steps make up the range: then rows that are all final are all that there will be. */
export function isWhole({ begins, stepSeconds }: StepsSeen, { fromMs, toMs }: Asked<object>) {
  const stepMs = stepSeconds * 1000;
  return new Set(begins).size === Math.ceil(toMs / stepMs) - Math.floor(fromMs / stepMs);
}

/** That a row's nanoseconds lie in the range. */
export const withinRange = [
  'Timestamp >= fromUnixTimestamp64Milli({from:Int64})',
  'Timestamp < fromUnixTimestamp64Milli({to:Int64})',
];

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
