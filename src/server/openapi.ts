import { toJsonSchema } from '@valibot/to-json-schema';
import type { GenericSchema } from 'valibot';
import { ENDPOINTS, type Endpoint } from './api.ts';
import { batchLine, batchParameters } from './batch-schemas.ts';
import { problem } from './schemas.ts';

type Json = Record<string, unknown>;

/** Returns the OpenAPI 3.1 document of the HTTP API, generated from the schemas that validate requests. */
export function openApi(version: string, path: string): Json {
  return {
    openapi: '3.1.1',
    info: {
      title: 'track-usage',
      version,
      summary: 'Usage of a web app: hits, transfer, errors and duration.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: `${path}/api/v1` }],
    security: [{ token: [] }, { session: [] }],
    paths: {
      ...Object.fromEntries(ENDPOINTS.map((endpoint) => [endpoint.path, { get: operation(endpoint) }])),
      '/batch': { get: batchOperation() },
    },
    components: {
      schemas: { Problem: jsonSchema(problem, 'output') },
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer' },
        session: { type: 'apiKey', in: 'cookie', name: 'track-usage-session' },
      },
    },
  };
}

function operation({ path, summary, parameters, response: answer, lines }: Endpoint): Json {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  return {
    operationId: path
      .replace(/^\//, '')
      .replace(/\/\{.*/, '')
      .replace('summaries', 'top'),
    summary,
    parameters: [...inPath, ...inQuery(parameters)],
    responses: {
      200: {
        description: 'The response.',
        content: {
          'application/json': { schema: jsonSchema(answer, 'output') },
          ...(lines && {
            'text/csv': { schema: { type: 'string' } },
            'application/x-ndjson': { schema: { type: 'string' } },
          }),
        },
      },
      304: { description: 'Not modified since the ETag.' },
      default: PROBLEM,
    },
  };
}

function batchOperation(): Json {
  return {
    operationId: 'batch',
    summary:
      'Several queries in one request. Each line is the response of one, in the order in which they finish.',
    parameters: inQuery(batchParameters),
    responses: {
      200: {
        description: 'Lines of JSON.',
        content: { 'application/x-ndjson': { schema: jsonSchema(batchLine, 'output') } },
      },
      default: PROBLEM,
    },
  };
}

const PROBLEM = {
  description: 'Problem details (RFC 9457).',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
};

function inQuery(parameters: GenericSchema): Json[] {
  const { properties = {}, required = [] } = jsonSchema(parameters, 'input') as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    ...(description !== undefined && { description }),
    schema,
  }));
}

/** Returns the JSON Schema, without its dialect, which is the default of OpenAPI 3.1. */
export function jsonSchema(schema: GenericSchema, typeMode: 'input' | 'output'): Json {
  const { $schema: _, ...json } = toJsonSchema(schema, { target: 'draft-2020-12', typeMode }) as Json;
  return json;
}
