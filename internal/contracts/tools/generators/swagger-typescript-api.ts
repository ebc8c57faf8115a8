import { Api, type HttpResponse } from "../generated/swagger-typescript-api/api";
import { key, program, Refused, url } from "./program";

const api = new Api({ baseUrl: url, baseApiParams: { headers: { "x-api-key": key } } }).v1;

async function ok<T>(call: Promise<HttpResponse<T, { status: number; code?: string }>>): Promise<T> {
  try {
    return (await call).data;
  } catch (answer) {
    const { error } = answer as HttpResponse<T, { status: number; code?: string }>;
    throw error ? new Refused(error.status, error.code) : answer;
  }
}
const encoded = encodeURIComponent; // it writes path parameters as they are

await program({
  create: (body) => ok(api.createApiKey(body)),
  list: (query) => ok(api.listApiKeys(query)),
  get: (name, owner) => ok(api.getApiKey(encoded(name), { owner })),
  removeRateLimit: (name, owner) => ok(api.updateApiKey(encoded(name), { rate_limit: null }, { owner })),
  rotate: (name) => ok(api.rotateApiKey(encoded(name))),
  revoke: (name, owner) => ok(api.revokeApiKey(encoded(name), { owner })),
  verify: (secret) => ok(api.verifyApiKey({ key: secret })),
  introspect: (token) => ok(api.introspectToken({ token })),
});
