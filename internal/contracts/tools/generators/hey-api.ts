import { client } from "../generated/hey-api/client.gen";
import * as api from "../generated/hey-api/sdk.gen";
import { key, program, Refused, url } from "./program";

client.setConfig({ baseUrl: url, auth: ({ type }) => (type === "apiKey" ? key : undefined) });

async function ok<T>(call: Promise<{ data?: T; error?: { status: number; code?: string } }>): Promise<NonNullable<T>> {
  const { data, error } = await call;
  if (error || !data) throw new Refused(error?.status ?? 0, error?.code);
  return data;
}

await program({
  create: (body) => ok(api.createApiKey({ body })),
  list: (query) => ok(api.listApiKeys({ query })),
  get: (key_name, owner) => ok(api.getApiKey({ path: { key_name }, query: { owner } })),
  removeRateLimit: (key_name, owner) => ok(api.updateApiKey({ path: { key_name }, query: { owner }, body: { rate_limit: null } })),
  rotate: (key_name) => ok(api.rotateApiKey({ path: { key_name } })),
  revoke: (key_name, owner) => ok(api.revokeApiKey({ path: { key_name }, query: { owner } })),
  verify: (secret) => ok(api.verifyApiKey({ body: { key: secret } })),
  introspect: (token) => ok(api.introspectToken({ body: { token } })),
});
