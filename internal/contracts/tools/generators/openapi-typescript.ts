import createClient from "openapi-fetch";
import type { paths } from "../generated/openapi-typescript/api";
import { key, program, Refused, url } from "./program";

const api = createClient<paths>({ baseUrl: url, headers: { "x-api-key": key } });

async function ok<T>(call: Promise<{ data?: T; error?: { status: number; code?: string } }>): Promise<T> {
  const { data, error } = await call;
  if (error) throw new Refused(error.status, error.code);
  return data as T;
}
const named = (key_name: string, owner?: string) => ({ params: { path: { key_name }, query: { owner } } });

await program({
  create: (body) => ok(api.POST("/v1/api-keys", { body })),
  list: (query) => ok(api.GET("/v1/api-keys", { params: { query } })),
  get: (name, owner) => ok(api.GET("/v1/api-keys/{key_name}", named(name, owner))),
  removeRateLimit: (name, owner) => ok(api.PATCH("/v1/api-keys/{key_name}", { ...named(name, owner), body: { rate_limit: null } })),
  rotate: (name) => ok(api.POST("/v1/api-keys/{key_name}/rotate", named(name))),
  revoke: (name, owner) => ok(api.DELETE("/v1/api-keys/{key_name}", named(name, owner))),
  verify: (secret) => ok(api.POST("/v1/verify", { body: { key: secret } })),
  introspect: (token) => ok(api.POST("/v1/introspect", {
    body: { token },
    headers: { "Content-Type": "application/x-www-form-urlencoded" }, // else it sends JSON
  })),
});
