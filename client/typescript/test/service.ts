// The running service that the tests talk to; client_test.go starts it.

import { randomUUID } from "node:crypto";

import { type ApiKeysClient, type ApiKeyWithSecret, createApiKeysClient, unwrap } from "../src/index.js";

function fromEnvironment(name: string): string {
  const value = process.env[name];
  if (!value) {
    throw new Error(`${name} is not set: run these tests with "go test -tags full ./client/typescript"`);
  }
  return value;
}

export const baseUrl = fromEnvironment("URL");
export const adminKey = fromEnvironment("KEY");
export const admin = createApiKeysClient({ baseUrl, key: adminKey });

export const tomorrow = () => new Date(Date.now() + 24 * 60 * 60 * 1000).toISOString();

/** A key whose secret is not sealed. */
type Created = ApiKeyWithSecret & { secret: string };

export const create = (owner: string, name: string, scopes: string[] = []) =>
  unwrap(admin.POST("/v1/api-keys", { body: { owner, name, scopes, expires_at: tomorrow() } })) as Promise<Created>;

/** Creates an owner for a test, and a client that acts for it. */
export async function newOwner(): Promise<{ owner: string; key: Created; client: ApiKeysClient }> {
  const owner = randomUUID();
  const key = await create(owner, "caller", ["keys:read", "keys:write"]);
  return { owner, key, client: createApiKeysClient({ baseUrl, key: key.secret }) };
}
