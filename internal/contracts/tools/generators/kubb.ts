import * as api from "../generated/kubb";
import { program } from "./program";

const encoded = encodeURIComponent; // it writes path parameters as they are

await program({
  create: (key) => api.createApiKey(key),
  list: (query) => api.listApiKeys(query),
  get: (name, owner) => api.getApiKey(encoded(name), { owner }),
  removeRateLimit: (name, owner) => api.updateApiKey(encoded(name), { rate_limit: null }, { owner }),
  rotate: (name) => api.rotateApiKey(encoded(name)),
  revoke: (name, owner) => api.revokeApiKey(encoded(name), { owner }),
  verify: (secret) => api.verifyApiKey({ key: secret }),
  introspect: (token) => api.introspectToken({ token }),
});
