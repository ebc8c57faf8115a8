// A typed client of the API Keys Management API. Paths, parameters, bodies and answers
// come from the contract (contract.ts is generated); calls are openapi-fetch's.

import createClient, { type Client, type ClientOptions } from "openapi-fetch";

import type { components, operations, paths } from "./contract.js";
import { ApiKeysError } from "./error.js";

export { ApiKeysError } from "./error.js";
export type { components, operations, paths } from "./contract.js";
export * from "./webhooks.js";

export type ApiKey = components["schemas"]["ApiKeyResponse"];
export type ApiKeyWithSecret = components["schemas"]["ApiKeyWithSecretResponse"];
export type Verification = components["schemas"]["VerifyResponse"];
export type Summary = components["schemas"]["SummaryResponse"];
export type Usage = components["schemas"]["UsageResponse"];
export type Owner = components["schemas"]["OwnerResponse"];
export type AuditEvent = components["schemas"]["AuditEvent"];
export type ErrorResponse = components["schemas"]["ErrorResponse"];

export type ApiKeysClient = Client<paths, "application/json">;

export interface ApiKeysClientOptions extends Omit<ClientOptions, "baseUrl" | "headers" | "redirect"> {
  /** The URL of the service, for example `https://keys.example.com`. It may have a path. */
  baseUrl: string;
  /** The secret of the calling key. White space around it is ignored. */
  key: string;
}

/**
 * Returns a client that calls the service at `baseUrl` with `key`. It sends no request yet.
 *
 * An answer is `{ data, error, response }`: `error` is the contract's ErrorResponse, with
 * its `status`, `code`, `message` and `request_id`. See {@link unwrap} for exceptions.
 */
export function createApiKeysClient({ key, ...options }: ApiKeysClientOptions): ApiKeysClient {
  const client = createClient<paths, "application/json">({
    ...options,
    headers: { "x-api-key": headerValue(key) },
    redirect: "error", // fetch would send the secret to any host
  });
  client.use({ onRequest: ({ schemaPath, request }) => schemaPath === "/v1/introspect" ? asForm(request) : undefined });
  return client;
}

/** OAuth wants a form where openapi-fetch sends JSON. */
async function asForm(request: Request): Promise<Request | undefined> {
  if (request.headers.get("content-type") !== "application/json") {
    return undefined; // the caller chose
  }
  const headers = new Headers(request.headers);
  headers.delete("content-type"); // fetch sets that of the form
  const fields = await request.json() as Record<string, string>;
  return new Request(request, { headers, body: new URLSearchParams(fields) });
}

function headerValue(key: string | null | undefined): string { // callers may use JavaScript or "!"
  const secret = (key ?? "").trim();
  if (secret === "") {
    throw new Error("key is missing or empty: set it to the secret of an API key");
  }
  if (!/^[\x21-\x7e]+$/.test(secret)) {
    // fetch's own error would show the secret.
    throw new TypeError("key is not the secret of an API key: it must be printable ASCII");
  }
  return secret;
}

/** The answer of a call: the part of openapi-fetch's type that is used here. */
interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** Awaits a call and returns its data. Throws an ApiKeysError unless the call succeeded. */
export async function unwrap<T>(call: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok || data === undefined) {
    throw new ApiKeysError(response, error);
  }
  return data;
}

type ListQuery = NonNullable<operations["listApiKeys"]["parameters"]["query"]>;

/** Filters and paging of listAll. The filters have the contract's names. */
export interface ListAllOptions extends Omit<ListQuery, "cursor" | "page" | "items_per_page"> {
  /** How many keys one request asks for, 1 to 100. */
  pageSize?: number;
  signal?: AbortSignal;
}

/**
 * Iterates over all keys that match the filters, newest first, and requests pages only as they are
 * needed. Every key that matches throughout is returned exactly once, whatever else changes; keys
 * created during the iteration may be missing. Throws an ApiKeysError, or an Error if the service
 * is too old to have cursors.
 */
export async function* listAll(
  client: ApiKeysClient,
  { pageSize = 100, signal, ...filters }: ListAllOptions = {},
): AsyncGenerator<ApiKey, void, undefined> {
  const init = signal === undefined ? {} : { signal };
  const query: ListQuery = { ...filters, items_per_page: pageSize };
  for (;;) {
    const { data, pagination } = await unwrap(client.GET("/v1/api-keys", { params: { query }, ...init }));
    const cursor = pagination.next_cursor;
    if (cursor === undefined && pagination.total_pages > 1) {
      throw new Error("the service returned no next_cursor: it is older than this client; update it");
    }
    yield* data;
    if (cursor === undefined || data.length === 0) {
      return;
    }
    query.cursor = cursor;
  }
}

type OwnersQuery = NonNullable<operations["listOwners"]["parameters"]["query"]>;

/** Filters and paging of listAllOwners. The filters have the contract's names. */
export interface ListAllOwnersOptions extends Omit<OwnersQuery, "cursor" | "items_per_page"> {
  /** How many owners one request asks for, 1 to 100. */
  pageSize?: number;
  signal?: AbortSignal;
}

/**
 * Iterates over all owners that match the filters, by name, and requests pages only as they are
 * needed. The client's key needs keys:admin. Throws an ApiKeysError.
 */
export async function* listAllOwners(
  client: ApiKeysClient,
  { pageSize = 100, signal, ...filters }: ListAllOwnersOptions = {},
): AsyncGenerator<Owner, void, undefined> {
  const init = signal === undefined ? {} : { signal };
  const query: OwnersQuery = { ...filters, items_per_page: pageSize };
  for (;;) {
    const { data, next_cursor: cursor } = await unwrap(client.GET("/v1/owners", { params: { query }, ...init }));
    yield* data;
    if (cursor === undefined) {
      return;
    }
    query.cursor = cursor;
  }
}

type AuditQuery = NonNullable<operations["listAuditEvents"]["parameters"]["query"]>;

/** Filters and paging of auditEvents. The filters have the contract's names. */
export interface AuditOptions extends Omit<AuditQuery, "items_per_page"> {
  /** How many events one request asks for, 1 to 100. */
  pageSize?: number;
  signal?: AbortSignal;
}

/**
 * Iterates over all audit events that match the filters, newest first, and requests pages only as
 * they are needed. The client's key needs keys:admin. Events recorded after the start are not
 * included. Throws an ApiKeysError.
 */
export async function* auditEvents(
  client: ApiKeysClient,
  { pageSize = 100, signal, ...filters }: AuditOptions = {},
): AsyncGenerator<AuditEvent, void, undefined> {
  const init = signal === undefined ? {} : { signal };
  const query: AuditQuery = { ...filters, items_per_page: pageSize };
  for (;;) {
    const { data, next } = await unwrap(client.GET("/v1/audit-events", { params: { query }, ...init }));
    yield* data;
    if (next === undefined) {
      return;
    }
    query.before = next;
  }
}
