import assert from "node:assert/strict";
import { test } from "node:test";

import { type components, listAll, unwrap, type Verification } from "../src/index.js";
import { admin, create, newOwner, tomorrow } from "./service.js";

const verify = (key: string, ...scopes: string[]): Promise<Verification> =>
  unwrap(admin.POST("/v1/verify", { body: { key, scopes } }));

const update = (key_name: string, body: components["schemas"]["ApiKeyUpdate"]) =>
  unwrap(admin.PATCH("/v1/api-keys/{key_name}", { params: { path: { key_name } }, body }));

test("verify answers whether a key is valid, and why not", async () => {
  const { owner } = await newOwner();
  const { secret, ...key } = await create(owner, "a key", ["datasets:read"]);
  assert.deepEqual(await verify(secret, "datasets:read"), { valid: true, code: "VALID", key });
  assert.equal((await verify(secret, "datasets:read", "datasets:write")).code, "INSUFFICIENT_SCOPE");
  assert.deepEqual(await verify("something else"), { valid: false, code: "NOT_FOUND" });
  await unwrap(admin.DELETE("/v1/api-keys/{key_name}", { params: { path: { key_name: key.id } } }));
  const { valid, code } = await verify(secret);
  assert.deepEqual([valid, code], [false, "REVOKED"]);
});

test("a rate limit is counted, changed and removed", async () => {
  const { owner } = await newOwner();
  const { secret, id, rate_limit } = await unwrap(admin.POST("/v1/api-keys", {
    body: { owner, name: "limited", expires_at: tomorrow(), scopes: [], rate_limit: { limit: 1, window_seconds: 86400 } },
  }));
  assert.deepEqual(rate_limit, { limit: 1, window_seconds: 86400 });
  assert.equal((await verify(secret!)).code, "VALID");
  const limited = await verify(secret!);
  assert.equal(limited.code, "RATE_LIMITED");
  assert.ok(limited.retry_after_seconds && limited.retry_after_seconds > 0);

  assert.deepEqual((await update(id, { rate_limit: { limit: 2, window_seconds: 1 } })).rate_limit, { limit: 2, window_seconds: 1 });
  assert.deepEqual((await update(id, {})).rate_limit, { limit: 2, window_seconds: 1 });
  assert.equal((await update(id, { rate_limit: null })).rate_limit, undefined);
  assert.equal((await verify(secret!)).code, "VALID");
});

test("a quota is counted, changed and removed", async () => {
  const { owner } = await newOwner();
  const { secret, id, quota } = await unwrap(admin.POST("/v1/api-keys", {
    body: { owner, name: "limited", expires_at: tomorrow(), scopes: [], quota: { limit: 10, period: "month" } },
  }));
  assert.deepEqual(quota, { limit: 10, period: "month", starts_on: 1 });
  const costing = (cost: number) => unwrap(admin.POST("/v1/verify", { body: { key: secret!, cost } }));
  assert.equal((await verify(secret!)).quota?.remaining, 9);
  const refused = await costing(10);
  assert.deepEqual([refused.code, refused.quota?.remaining], ["QUOTA_EXCEEDED", 9]);
  assert.ok(refused.retry_after_seconds && refused.retry_after_seconds > 0);
  assert.equal((await costing(9)).code, "VALID");
  const { data } = await admin.GET("/v1/api-keys/{key_name}/usage", { params: { path: { key_name: id } } });
  assert.equal(data?.quota?.remaining, 0);
  const days = await admin.GET("/v1/api-keys/{key_name}/usage", { params: { path: { key_name: id }, query: { interval: "day" } } });
  assert.equal(days.data?.interval_seconds, 86_400);
  assert.equal(days.data?.data.at(-1)?.codes["QUOTA_EXCEEDED"], 1);

  assert.deepEqual((await update(id, { quota: { limit: 20, period: "week", starts_on: 7 } })).quota,
    { limit: 20, period: "week", starts_on: 7 });
  assert.equal((await update(id, { quota: null })).quota, undefined);
  assert.equal((await verify(secret!)).code, "VALID");
});

test("metadata is kept as it is, and replaced whole", async () => {
  const { owner } = await newOwner();
  const metadata = { plan: "pro", "ключ": "<&>", "__proto__ ": "" };
  const created = await unwrap(admin.POST("/v1/api-keys", { body: { owner, name: "m", expires_at: tomorrow(), metadata } }));
  assert.deepEqual(created.metadata, metadata);
  assert.deepEqual((await update(created.id, {})).metadata, metadata);
  assert.deepEqual((await update(created.id, { metadata: { a: "b" } })).metadata, { a: "b" });
  assert.deepEqual((await update(created.id, { metadata: {} })).metadata, {});
});

test("a rotation returns a new secret, and the old one works during the grace", async () => {
  const { owner, client } = await newOwner();
  const rotate = (body?: { grace_seconds: number }) => unwrap(client.POST("/v1/api-keys/{key_name}/rotate", {
    params: { path: { key_name: "a/b" } }, ...(body ? { body } : {}),
  }));
  const first = await create(owner, "a/b");
  const second = await rotate({ grace_seconds: 3600 });
  assert.deepEqual([second.id, second.prefix], [first.id, first.prefix]);
  assert.notEqual(second.secret, first.secret);
  assert.ok(second.grace_ends_at && new Date(second.grace_ends_at) > new Date());
  assert.deepEqual([(await verify(first.secret)).code, (await verify(second.secret!)).code], ["VALID", "VALID"]);

  const third = await rotate();
  assert.equal(third.grace_ends_at, undefined);
  const codes = await Promise.all([first, second, third].map(async ({ secret }) => (await verify(secret!)).code));
  assert.deepEqual(codes, ["NOT_FOUND", "NOT_FOUND", "VALID"]);
});

test("a list is filtered", async () => {
  const { owner } = await newOwner(); // has the key "caller"
  const ended = await create(owner, "ended 100%");
  await create(owner, "good 100%");
  await unwrap(admin.DELETE("/v1/api-keys/{key_name}", { params: { path: { key_name: ended.id } } }));
  const names = async (filters: Parameters<typeof listAll>[1]) => {
    const seen: string[] = [];
    for await (const { name } of listAll(admin, { owner, pageSize: 1, ...filters })) seen.push(name);
    return seen;
  };
  const past = "2001-01-31T12:00:00Z";
  const future = new Date(Date.now() + 48 * 60 * 60 * 1000).toISOString();
  assert.deepEqual(await names({}), ["good 100%", "ended 100%", "caller"]);
  assert.deepEqual(await names({ status: "ACTIVE" }), ["good 100%", "caller"]);
  assert.deepEqual(await names({ status: "REVOKED" }), ["ended 100%"]);
  assert.deepEqual(await names({ name_contains: " 100%" }), ["good 100%", "ended 100%"]);
  assert.deepEqual(await names({ name_contains: "%", status: "ACTIVE" }), ["good 100%"]);
  assert.deepEqual(await names({ expires_before: past }), []);
  assert.deepEqual(await names({ expires_before: future, last_used_before: future }), ["good 100%", "ended 100%", "caller"]);
  assert.deepEqual(await names({ last_used_before: past }), []);
});

test("anyone can end a leaked key by reporting it", async () => {
  const { owner } = await newOwner();
  const { secret } = await create(owner, "leaked");
  const report = async (key: string) => unwrap(admin.POST("/v1/leaked-keys", { body: { key } }));
  const thanks = await report(secret);
  assert.equal((await verify(secret)).code, "REVOKED");
  assert.deepEqual(await report("something else"), thanks); // the answer does not reveal what it was
});

test("networks are kept, decide about addresses, and are removed", async () => {
  const { owner } = await newOwner();
  const { secret, id, allowed_cidrs, observe_cidrs } = await unwrap(admin.POST("/v1/api-keys", {
    body: { owner, name: "restricted", expires_at: tomorrow(), scopes: [], allowed_cidrs: ["192.0.2.0/24", "2001:db8::7"], observe_cidrs: ["192.0.2.7"] },
  }));
  assert.deepEqual([allowed_cidrs, observe_cidrs], [["192.0.2.0/24", "2001:db8::7/128"], ["192.0.2.7/32"]]);
  const from = async (client_address?: string) =>
    (await unwrap(admin.POST("/v1/verify", { body: { key: secret!, ...(client_address && { client_address }) } }))).code;
  assert.equal(await from("192.0.2.9:443"), "VALID");
  assert.equal(await from("198.51.100.1"), "ADDRESS_NOT_ALLOWED");
  assert.equal(await from(), "ADDRESS_NOT_ALLOWED");
  assert.equal((await update(id, { allowed_cidrs: null })).allowed_cidrs, undefined);
  assert.equal((await update(id, { observe_cidrs: [] })).observe_cidrs, undefined);
  assert.equal(await from(), "VALID");
});

test("a secret of another service is imported once, and verifies", async () => {
  const { owner } = await newOwner();
  const key = `legacy_${crypto.randomUUID()}`;
  const row = { owner, name: "imported", expires_at: tomorrow(), secret: key };
  const outcomes = async (dry_run: boolean) =>
    (await unwrap(admin.POST("/v1/imports", { body: { dry_run, keys: [row] } }))).rows.map(({ outcome }) => outcome);
  assert.deepEqual(await outcomes(true), ["created"]);
  assert.deepEqual(await outcomes(false), ["created"]);
  assert.deepEqual(await outcomes(false), ["exists"]);
  const { code, key: found } = await verify(key);
  assert.deepEqual([code, found?.foreign_secret, found?.owner], ["VALID", true, owner]);
});

test("a link opens the console for one owner", async () => {
  const { owner } = await newOwner();
  const link = await unwrap(admin.POST("/v1/owners/{owner}/links", {
    params: { path: { owner } }, body: { scopes: ["keys:read"], name: "bob", session_seconds: 60 },
  }));
  assert.match(link.url, /\/console\/link#link_[0-9A-Za-z]{60}$/);
  assert.ok(Date.parse(link.expires_at) > Date.now());
  const sessions = await unwrap(admin.GET("/v1/api-keys", { params: { query: { sessions: true, owner } } }));
  assert.deepEqual(sessions.data, []);
});
