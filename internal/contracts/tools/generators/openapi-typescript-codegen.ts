import { ApiError, ApiKeysService as keys, type ErrorResponse, OpenAPI, VerificationService } from "../generated/openapi-typescript-codegen";
import { key, program, Refused, url } from "./program";

OpenAPI.BASE = url;
OpenAPI.HEADERS = { "x-api-key": key };
OpenAPI.ENCODE_PATH = encodeURIComponent; // else it leaves / ? and # as they are

// Its types count the default answer, an error, among the successful ones; it throws each of them.
async function ok<T>(call: Promise<T>): Promise<Exclude<T, ErrorResponse>> {
  try {
    return (await call) as Exclude<T, ErrorResponse>;
  } catch (error) {
    if (error instanceof ApiError) throw new Refused(error.status, error.body.code);
    throw error;
  }
}

await program({
  create: (requestBody) => ok(keys.createApiKey({ requestBody })),
  list: ({ owner, items_per_page, cursor }) => ok(keys.listApiKeys({ owner, itemsPerPage: items_per_page, cursor })),
  get: (keyName, owner) => ok(keys.getApiKey({ keyName, owner })),
  removeRateLimit: (keyName, owner) => ok(keys.updateApiKey({ keyName, owner, requestBody: { rate_limit: null } })),
  rotate: (keyName) => ok(keys.rotateApiKey({ keyName })),
  revoke: (keyName, owner) => ok(keys.revokeApiKey({ keyName, owner })),
  verify: (secret) => ok(VerificationService.verifyApiKey({ requestBody: { key: secret } })),
  // It sends forms as multipart/form-data, whatever the contract says: no introspectToken.
});
