/** Makes the OpenAPI 3.1 document of the read API out of what its resources say. Only data. */
import * as z from 'zod/mini';
import type { Resource } from './resource.ts';

const fault = {
  description: 'Problem details (RFC 9457)',
  content: {
    'application/problem+json': {
      schema: schemaOf(z.object({ title: z.string(), status: z.int(), detail: z.string() })),
    },
  },
};

/** The document of these resources, of the API of such a version. */
export function documentOf(resources: readonly Resource[], version: string) {
  return {
    openapi: '3.1.0',
    info: { title: 'Tidemark', version, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    servers: [{ url: '/api/v1' }],
    security: [{ key: [] }],
    paths: Object.fromEntries(
      resources.map((resource) => [resource.path, { get: operationOf(resource) }]),
    ),
    components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
  };
}

function operationOf({ name, summary, query, pathParameters, row }: Resource) {
  const body = z.object({ data: z.array(row), next: z.optional(z.string()) });
  const answer = { 'application/json': { schema: schemaOf(body) } };
  return {
    operationId: name,
    summary,
    parameters: [...parametersOf('query', query), ...parametersOf('path', pathParameters)],
    responses: {
      200: { description: summary, content: answer },
      ...Object.fromEntries([400, 401, 403, 404, 422, 503].map((status) => [status, fault])),
    },
  };
}

function parametersOf(place: 'query' | 'path', of: z.ZodMiniObject | undefined) {
  return Object.entries(of?.shape ?? {}).map(([name, schema]) => {
    const { description, ...rest } = schemaOf(schema);
    const isRequired = !z.safeParse(schema as z.ZodMiniType, undefined).success;
    return { name, in: place, required: isRequired, description, schema: rest };
  });
}

/** What a parameter has to be, for whoever sent something else. */
export function wantedOf(schema: z.core.$ZodType): string {
  const { description = '', enum: choices, minimum, maximum } = schemaOf(schema);
  if (choices !== undefined) return `wanted one of ${choices.join(', ')}`;
  if (minimum === undefined || maximum === undefined) return `wanted: ${description}`;
  return `wanted a number from ${minimum} to ${maximum}: ${description}`;
}

/** JSON Schema of what is sent, which OpenAPI 3.1 takes as it is. */
function schemaOf(schema: z.core.$ZodType) {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return rest;
}
