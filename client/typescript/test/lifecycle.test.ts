import assert from "node:assert/strict";
import { test } from "node:test";

import { createApiKeysClient, unwrap } from "../src/index.js";
import { admin, baseUrl, create, newOwner, tomorrow } from "./service.js";

test("a key is created, changed and revoked", async () => {
  const { owner, client } = await newOwner();
  const created = await client.POST("/v1/api-keys", {
    body: { name: "ci pipeline", expires_at: tomorrow(), scopes: ["keys:read"] },
  });
  assert.equal(created.response.status, 201);
  assert.ok(created.data);
  const { secret, ...key } = created.data;
  assert.match(secret!, /^ak_[0-9A-Za-z]{60}$/);
  assert.equal(created.response.headers.get("location"), `/v1/api-keys/${key.id}`);
  assert.deepEqual([key.owner, key.status, key.scopes], [owner, "ACTIVE", ["keys:read"]]);

  const key_name = key.id;
  assert.deepEqual(await unwrap(client.GET("/v1/api-keys/{key_name}", { params: { path: { key_name } } })), key);

  const child = createApiKeysClient({ baseUrl, key: `${secret}\n` });
  const seen = await unwrap(child.GET("/v1/api-keys"));
  assert.deepEqual(seen.data.map(({ name }) => name), ["ci pipeline", "caller"]);

  const renamed = await unwrap(
    client.PATCH("/v1/api-keys/{key_name}", { params: { path: { key_name } }, body: { name: "ci/main" } }),
  );
  assert.equal(renamed.name, "ci/main");

  const revoked = await unwrap(client.DELETE("/v1/api-keys/{key_name}", { params: { path: { key_name } } }));
  assert.equal(revoked.status, "REVOKED");
  assert.ok(revoked.revoked_at);
  const refused = await child.GET("/v1/api-keys");
  assert.equal(refused.error?.code, "CREDENTIAL_REVOKED");
});

const names = [
  "plain", "a/b", "a%2Fb", "a%252Fb", "100%", "a b", "a+b", "a?b=c", "a#b", "a&b", "a;b=c", "a,b", "{key_name}",
  "$&", "it's (all) fine!*", "...", "..a", "a\\b", "grüße", "日本語", "🔑", "\u200d", "%", "%zz", "@:=~",
];

test("a name is percent-encoded exactly once", async (t) => {
  const { client } = await newOwner();
  for (const name of names) {
    await t.test(JSON.stringify(name), async () => {
      const { id } = await unwrap(client.POST("/v1/api-keys", { body: { name, expires_at: tomorrow(), scopes: [] } }));
      const params = { path: { key_name: name } };
      assert.equal((await unwrap(client.GET("/v1/api-keys/{key_name}", { params }))).id, id);
      const body = { scopes: ["datasets:read"] };
      // A scope that the caller lacks: only that this very key was reached matters.
      assert.equal((await client.PATCH("/v1/api-keys/{key_name}", { params, body })).error?.status, 403);
      const revoked = await unwrap(client.DELETE("/v1/api-keys/{key_name}", { params }));
      assert.deepEqual([revoked.id, revoked.name, revoked.status], [id, name, "REVOKED"]);
    });
  }
});

test("an owner is percent-encoded exactly once", async () => {
  for (const name of names) {
    const owner = `${crypto.randomUUID()} ${name}`;
    const { id } = await create(owner, "a key");
    const { data } = await unwrap(admin.GET("/v1/api-keys", { params: { query: { owner } } }));
    assert.deepEqual(data.map((key) => key.id), [id]);
  }
});
