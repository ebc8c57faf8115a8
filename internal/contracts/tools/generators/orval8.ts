import * as api from "../generated/orval8/api";
import { key, program, Refused, url } from "./program";

// orval's fetch client calls the global fetch with the path alone.
const { fetch } = globalThis;
globalThis.fetch = (path, request) => fetch(url + path, { ...request, headers: { ...request?.headers, "x-api-key": key } });

type Answer = { status: number; data: unknown };
async function ok<A extends Answer, S extends 200 | 201>(call: Promise<A>, status: S): Promise<Extract<A, { status: S }>["data"]> {
  const answer = await call;
  if (answer.status !== status) throw new Refused(answer.status, (answer.data as { code?: string }).code);
  return answer.data as Extract<A, { status: S }>["data"];
}

await program({
  create: (body) => ok(api.createApiKey(body), 201),
  list: (query) => ok(api.listApiKeys(query), 200),
  get: (name, owner) => ok(api.getApiKey(name, { owner }), 200),
  removeRateLimit: (name, owner) => ok(api.updateApiKey(name, { rate_limit: null }, { owner }), 200),
  rotate: (name) => ok(api.rotateApiKey(name), 200),
  revoke: (name, owner) => ok(api.revokeApiKey(name, { owner }), 200),
  verify: (secret) => ok(api.verifyApiKey({ key: secret }), 200),
  introspect: (token) => ok(api.introspectToken({ token }), 200),
});
