import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiKeysError, createApiKeysClient, listAll, unwrap } from "../src/index.js";
import { admin, baseUrl, create, newOwner, tomorrow } from "./service.js";

/** Returns a client of a new owner, and the URLs that it requests. */
async function counted() {
  const { owner, key } = await newOwner();
  const urls: string[] = [];
  const client = createApiKeysClient({
    baseUrl,
    key: key.secret,
    fetch: (request) => {
      urls.push(request.url);
      return fetch(request);
    },
  });
  return { owner, client, urls };
}

async function createMany(owner: string, count: number): Promise<string[]> {
  const names: string[] = [];
  for (let i = 0; i < count; i++) {
    names.unshift(`key ${i}`);
    await create(owner, `key ${i}`);
  }
  return names;
}

test("listAll returns the keys of all pages, newest first", async () => {
  const { owner, client, urls } = await counted();
  const names = await createMany(owner, 11);
  const seen: string[] = [];
  for await (const { name } of listAll(client, { pageSize: 4 })) {
    seen.push(name);
  }
  assert.deepEqual(seen, [...names, "caller"]);
  assert.equal(urls.length, 3);
});

test("listAll requests only the pages that are read", async () => {
  const { owner, client, urls } = await counted();
  await createMany(owner, 5);
  for await (const { name } of listAll(client, { pageSize: 2 })) {
    if (name === "key 3") break;
  }
  assert.equal(urls.length, 1);
});

test("listAll returns no key twice while keys are created", async () => {
  const { owner, client } = await counted();
  const names = await createMany(owner, 7);
  const seen: string[] = [];
  for await (const { name } of listAll(client, { pageSize: 3 })) {
    seen.push(name);
    await create(owner, `meanwhile ${seen.length}`);
  }
  assert.deepEqual(seen, [...names, "caller"]);
});

test("listAll misses no key while listed keys are revoked", async () => {
  const { owner } = await newOwner();
  const names = await createMany(owner, 8);
  const seen: string[] = [];
  for await (const { id, name } of listAll(admin, { owner, status: "ACTIVE", search: "KEY ", pageSize: 3 })) {
    seen.push(name);
    await unwrap(admin.DELETE("/v1/api-keys/{key_name}", { params: { path: { key_name: id } } }));
  }
  assert.deepEqual(seen, names);
});

test("listAll filters by every entry of metadata", async () => {
  const { owner } = await newOwner();
  for (const [name, metadata] of Object.entries({ both: { plan: "a=b, c&d", region: "eu" }, one: { plan: "a=b, c&d" }, none: {} })) {
    await unwrap(admin.POST("/v1/api-keys", { body: { owner, name, metadata, scopes: [], expires_at: tomorrow() } }));
  }
  const found = async (...metadata: string[]) => {
    const names: string[] = [];
    for await (const { name } of listAll(admin, { owner, metadata, pageSize: 1 })) {
      names.push(name);
    }
    return names;
  };
  assert.deepEqual(await found("plan=a=b, c&d"), ["one", "both"]);
  assert.deepEqual(await found("plan=a=b, c&d", "region=eu"), ["both"]);
  assert.deepEqual(await found("region="), []);
});

test("listAll rejects an older service, whose first page is not the whole list", async () => {
  const answer = { data: [], pagination: { total_pages: 2, current_page: 1, items_per_page: 1 } };
  const older = createApiKeysClient({ baseUrl, key: "secret", fetch: async () => Response.json(answer) });
  await assert.rejects(listAll(older).next(), /older than this client/);
});

test("listAll lists another owner's keys for an admin, and none where there are none", async () => {
  const { owner } = await newOwner();
  const names = async (whose: string) => {
    const seen: string[] = [];
    for await (const { name } of listAll(admin, { owner: whose })) seen.push(name);
    return seen;
  };
  assert.deepEqual(await names(owner), ["caller"]);
  assert.deepEqual(await names("nobody"), []);
});

test("listAll throws the service's refusals", async () => {
  const { client } = await counted();
  const of = (error: unknown) => error instanceof ApiKeysError && [error.status, error.code];
  await assert.rejects(listAll(client, { owner: "another" }).next(), (e) => {
    assert.deepEqual(of(e), [403, "FORBIDDEN"]);
    return true;
  });
  await assert.rejects(listAll(client, { pageSize: 0 }).next(), (e) => {
    assert.deepEqual(of(e), [400, "INVALID_REQUEST"]);
    return true;
  });
});

test("listAll ends when it is aborted", async () => {
  const { client, urls } = await counted();
  await assert.rejects(listAll(client, { signal: AbortSignal.abort() }).next(), { name: "AbortError" });
  assert.equal(urls.length, 1); // openapi-fetch made the request, and fetch refused it
});
