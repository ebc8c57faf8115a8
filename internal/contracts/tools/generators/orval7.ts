import axios from "axios";
import * as api from "../generated/orval7/api";
import { key, program, Refused, url } from "./program";

axios.defaults.baseURL = url;
axios.defaults.headers.common["x-api-key"] = key;

async function ok<T>(call: Promise<{ data: T }>): Promise<T> {
  try {
    return (await call).data;
  } catch (error) {
    if (axios.isAxiosError(error) && error.response) throw new Refused(error.response.status, error.response.data.code);
    throw error;
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
