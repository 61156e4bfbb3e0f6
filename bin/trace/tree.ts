/**
 * A trace as people and OTLP/JSON have it: spans under their resources and scopes, and the tree that
 * parent ids make of them. Only arranges what was found.
 */
import { messageToJson } from './message.ts';
import type { JsonObject } from './message.ts';

/** One span with what it stands under, as OTLP/JSON. */
export interface OwnedSpan {
  readonly resource: JsonObject | undefined;
  readonly resourceSchemaUrl: string | undefined;
  readonly scope: JsonObject | undefined;
  readonly scopeSchemaUrl: string | undefined;
  readonly span: JsonObject;
}

/** A span in the tree, and how deep it is; a root has depth 0. */
export interface Branch {
  readonly owned: OwnedSpan;
  readonly depth: number;
  /** Its parent is known by id only: it is not among the spans. */
  readonly isOrphan: boolean;
}

/** The span of an ExportTraceServiceRequest that has one. Throws `DecodeError`. */
export function ownedSpan(request: Uint8Array): OwnedSpan {
  const json = messageToJson('ExportTraceServiceRequest', request);
  const resourceSpans = first(json['resourceSpans']);
  const scopeSpans = first(resourceSpans['scopeSpans']);
  return {
    resource: resourceSpans['resource'] as JsonObject | undefined,
    resourceSchemaUrl: resourceSpans['schemaUrl'] as string | undefined,
    scope: scopeSpans['scope'] as JsonObject | undefined,
    scopeSchemaUrl: scopeSpans['schemaUrl'] as string | undefined,
    span: first(scopeSpans['spans']),
  };
}

/** All spans as one OTLP/JSON request, those of equal resources and scopes together. */
export function requestOf(spans: readonly OwnedSpan[]): JsonObject {
  const resources = Map.groupBy(spans, ({ resource, resourceSchemaUrl }) =>
    JSON.stringify([resource, resourceSchemaUrl]),
  );
  return {
    resourceSpans: [...resources.values()].map((ofResource) => ({
      ...present({ resource: ofResource[0]?.resource }),
      scopeSpans: scopesOf(ofResource),
      ...present({ schemaUrl: ofResource[0]?.resourceSchemaUrl }),
    })),
  };
}

function scopesOf(spans: readonly OwnedSpan[]): JsonObject[] {
  const scopes = Map.groupBy(spans, ({ scope, scopeSchemaUrl }) =>
    JSON.stringify([scope, scopeSchemaUrl]),
  );
  return [...scopes.values()].map((ofScope) => ({
    ...present({ scope: ofScope[0]?.scope }),
    spans: ofScope.map(({ span }) => span),
    ...present({ schemaUrl: ofScope[0]?.scopeSchemaUrl }),
  }));
}

/** Depth first, brothers by start time. Spans whose parents form a circle come last, as orphans. */
export function branchesOf(spans: readonly OwnedSpan[]): Branch[] {
  const sorted = spans.toSorted((left, right) => Number(startOf(left) - startOf(right)));
  const known = new Set<unknown>(sorted.map(({ span }) => span['spanId']));
  const children = Map.groupBy(sorted, ({ span }): unknown => span['parentSpanId'] ?? '');
  const branches: Branch[] = [];
  const placed = new Set<OwnedSpan>();
  const isOrphan = ({ span }: OwnedSpan): boolean =>
    (span['parentSpanId'] ?? '') !== '' && !known.has(span['parentSpanId']);
  const place = (root: OwnedSpan, orphan: boolean): void => {
    const waiting: Branch[] = [{ owned: root, depth: 0, isOrphan: orphan }];
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      if (placed.has(next.owned)) continue;
      placed.add(next.owned);
      branches.push(next);
      const { depth, owned } = next;
      const below = children.get(owned.span['spanId']) ?? [];
      const under = below.map((child) => ({ owned: child, depth: depth + 1, isOrphan: false }));
      waiting.push(...under.toReversed());
    }
  };
  for (const owned of sorted) {
    if ((owned.span['parentSpanId'] ?? '') === '') place(owned, false);
    else if (isOrphan(owned)) place(owned, true);
  }
  for (const owned of sorted) place(owned, true);
  return branches;
}

/** Nanoseconds since 1970. */
export function startOf({ span }: OwnedSpan): bigint {
  return BigInt((span['startTimeUnixNano'] as string | undefined) ?? 0);
}

/** Nanoseconds since 1970; no earlier than the start. */
export function endOf(owned: OwnedSpan): bigint {
  const end = BigInt((owned.span['endTimeUnixNano'] as string | undefined) ?? 0);
  const start = startOf(owned);
  return end < start ? start : end;
}

/** The resource's `service.name`, empty where there is none. */
export function serviceOf({ resource }: OwnedSpan): string {
  const attributes = (resource?.['attributes'] ?? []) as { key?: string; value?: JsonObject }[];
  const named = attributes.find(({ key }) => key === 'service.name');
  const text = named?.value?.['stringValue'];
  return typeof text === 'string' ? text : '';
}

function first(list: unknown): JsonObject {
  return (list as JsonObject[] | undefined)?.[0] ?? {};
}

/** Without members that are undefined. */
function present(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}
