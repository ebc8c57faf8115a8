import { isAxiosError } from "axios";
import { createApiClient } from "../generated/openapi-zod-client/api";
import { key, program, Refused, url } from "./program";

const api = createApiClient(url, { axiosConfig: { headers: { "x-api-key": key } } });

async function ok<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (isAxiosError(error) && error.response) throw new Refused(error.response.status, error.response.data.code);
    throw error;
  }
}
// Zodios writes path parameters as they are.
const named = (name: string, owner?: string) => ({ params: { key_name: encodeURIComponent(name) }, queries: { owner } });

await program({
  create: (body) => ok(api.createApiKey(body)),
  list: (queries) => ok(api.listApiKeys({ queries })),
  get: (name, owner) => ok(api.getApiKey(named(name, owner))),
  removeRateLimit: (name, owner) => ok(api.updateApiKey({ rate_limit: null }, named(name, owner))),
  rotate: (name) => ok(api.rotateApiKey(undefined, named(name))),
  revoke: (name, owner) => ok(api.revokeApiKey(undefined, named(name, owner))),
  verify: (secret) => ok(api.verifyApiKey({ key: secret })),
  introspect: (token) => ok(api.introspectToken({ token })),
});
