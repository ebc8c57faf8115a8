// Token introspection (RFC 7662) by a plain OAuth client that knows nothing about this service.

import assert from "node:assert/strict";
import { test } from "node:test";

import * as oauth from "oauth4webapi";

import { unwrap } from "../src/index.js";
import { admin, baseUrl, create, newOwner } from "./service.js";

const server: oauth.AuthorizationServer = { issuer: baseUrl, introspection_endpoint: `${baseUrl}/v1/introspect` };
const options = { [oauth.allowInsecureRequests]: true }; // the service is on 127.0.0.1

/** Any client_id works, because the secret identifies the caller. Its special characters are encoded. */
async function introspect(secret: string, token: string, client_id = "a resource/server: ключ"): Promise<oauth.IntrospectionResponse> {
  const client: oauth.Client = { client_id };
  const response = await oauth.introspectionRequest(server, client, oauth.ClientSecretBasic(secret), token, options);
  return oauth.processIntrospectionResponse(server, client, response);
}

const resourceServer = async () => create((await newOwner()).owner, "resource server", ["keys:verify"]);

test("an active token is described by its scopes, owner, id, name and times", async () => {
  const { secret: mine } = await resourceServer();
  const { owner } = await newOwner();
  const key = await create(owner, "ci pipeline", ["datasets:read", "datasets:write"]);
  assert.deepEqual(await introspect(mine, key.secret), {
    active: true,
    scope: "datasets:read datasets:write",
    sub: owner,
    client_id: key.id,
    username: "ci pipeline",
    iat: Math.floor(Date.parse(key.created_at) / 1000),
    exp: Math.floor(Date.parse(key.expires_at) / 1000),
  });
});

test("any other token is inactive, without further details", async () => {
  const { secret: mine } = await resourceServer();
  const { owner } = await newOwner();
  const revoked = await create(owner, "revoked");
  await unwrap(admin.DELETE("/v1/api-keys/{key_name}", { params: { path: { key_name: revoked.id } } }));
  for (const token of [revoked.secret, "something else", `${mine}x`, "a+b&c=d %2B \u{1f511}"]) {
    assert.deepEqual(await introspect(mine, token), { active: false });
  }
});

test("a client without the right to ask gets OAuth's error", async () => {
  const { owner, key } = await newOwner();
  const { secret: token } = await create(owner, "a key");
  await assert.rejects(introspect("wrong", token), (error) => {
    assert.ok(error instanceof oauth.WWWAuthenticateChallengeError);
    assert.equal(error.status, 401);
    assert.deepEqual(error.cause.map(({ scheme }) => scheme).sort(), ["basic", "bearer"]);
    return true;
  });
  await assert.rejects(introspect(key.secret, token), (error) => { // a good key without keys:verify
    assert.ok(error instanceof oauth.WWWAuthenticateChallengeError);
    assert.equal(error.status, 403);
    const [challenge] = error.cause;
    assert.equal(challenge?.parameters.error, "insufficient_scope");
    return true;
  });
});

test("the typed client introspects too: it sends a form", async () => {
  const { owner } = await newOwner();
  const key = await create(owner, "a key");
  const token = await unwrap(admin.POST("/v1/introspect", { body: { token: key.secret } }));
  assert.equal(token.client_id, key.id);
  assert.deepEqual(await unwrap(admin.POST("/v1/introspect", { body: { token: "a+b&c=d %2B \u{1f511}" } })), { active: false });
});
