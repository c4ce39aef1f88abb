/**
 * What a Server Card and a `server.json` may be, as JSON Schemas of our own, written from the
 * drafts' prose.
 *
 * Spec: MCP Server Card (draft), "MCP Server Cards"; MCP Registry API 2025-12-01
 */

const uri = { type: 'string', format: 'uri' };

/** Spec: reverse-DNS namespace, one slash, name. */
const name = {
  type: 'string',
  minLength: 3,
  maxLength: 200,
  pattern: '^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$',
};

/** A version, not a range of versions. */
const version = {
  type: 'string',
  minLength: 1,
  maxLength: 255,
  not: { pattern: '^[\\^~<>=]|^latest$|(^|\\.)[x*]($|\\.)' },
};

const shortText = { type: 'string', minLength: 1, maxLength: 100 };

/** `_meta` keys: an optional prefix of dotted labels, a slash, and a name. */
const meta = {
  type: 'object',
  propertyNames: {
    pattern:
      '^([a-zA-Z]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\\.[a-zA-Z]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*/)?[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?$',
  },
};

const icons = {
  type: 'array',
  items: {
    type: 'object',
    required: ['src'],
    properties: {
      src: uri,
      mimeType: { type: 'string' },
      sizes: { type: 'array', items: { type: 'string', pattern: '^(\\d+x\\d+|any)$' } },
      theme: { enum: ['light', 'dark'] },
    },
  },
};

const remote = {
  type: 'object',
  required: ['type', 'url'],
  properties: {
    type: { enum: ['streamable-http', 'sse'] },
    url: { type: 'string', pattern: '^https?://[^\\s]+$' },
    supportedProtocolVersions: {
      type: 'array',
      minItems: 1,
      uniqueItems: true,
      items: { type: 'string', pattern: '^\\d{4}-\\d{2}-\\d{2}$' },
    },
    headers: {
      type: 'array',
      items: { type: 'object', required: ['name'], properties: { name: { type: 'string' } } },
    },
  },
};

/** A Server Card as this gateway has to publish it: with one remote at least, and no primitives. */
export const serverCardSchema = {
  type: 'object',
  required: ['$schema', 'name', 'version', 'description', 'remotes'],
  properties: {
    $schema: {
      const: 'https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json',
    },
    name,
    version,
    description: shortText,
    title: shortText,
    websiteUrl: uri,
    icons,
    remotes: {
      type: 'array',
      minItems: 1,
      items: { ...remote, required: ['type', 'url', 'supportedProtocolVersions'] },
    },
    _meta: meta,
    tools: false,
    resources: false,
    prompts: false,
    packages: false,
  },
};

const moment = { type: 'string', format: 'date-time' };

/** One entry of the registry's list. */
export const registryServerSchema = {
  type: 'object',
  required: ['server', '_meta'],
  properties: {
    server: {
      type: 'object',
      required: ['name', 'version', 'description', 'remotes'],
      properties: {
        $schema: {
          type: 'string',
          pattern:
            '^https://static\\.modelcontextprotocol\\.io/schemas/\\d{4}-\\d{2}-\\d{2}/server\\.schema\\.json$',
        },
        name,
        version,
        description: shortText,
        title: shortText,
        websiteUrl: uri,
        icons,
        remotes: { type: 'array', minItems: 1, items: remote },
        packages: { type: 'array', maxItems: 0 },
        _meta: meta,
      },
    },
    _meta: {
      type: 'object',
      properties: {
        'io.modelcontextprotocol.registry/official': {
          type: 'object',
          required: ['status', 'publishedAt', 'isLatest'],
          additionalProperties: false,
          properties: {
            status: { enum: ['active', 'deprecated', 'deleted'] },
            statusMessage: { type: 'string', maxLength: 500 },
            statusChangedAt: moment,
            publishedAt: moment,
            updatedAt: moment,
            isLatest: { type: 'boolean' },
          },
        },
      },
    },
  },
};

/** A page of the registry's list, and the list of a server's versions. */
export const registryListSchema = {
  type: 'object',
  required: ['servers', 'metadata'],
  properties: {
    servers: { type: 'array', items: registryServerSchema },
    metadata: {
      type: 'object',
      required: ['count'],
      properties: {
        count: { type: 'integer', minimum: 0 },
        nextCursor: { type: ['string', 'null'] },
      },
    },
  },
};
