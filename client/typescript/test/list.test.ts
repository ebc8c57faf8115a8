import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiKeysError, createApiKeysClient, listAll, unwrap } from "../src/index.js";
import { admin, baseUrl, create, newOwner } from "./service.js";

/** A client of the caller's own keys, and the requests that it made. */
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

test("listAll goes through all pages, newest first", async () => {
  const { owner, client, urls } = await counted();
  const names = await createMany(owner, 11);
  const seen: string[] = [];
  for await (const { name } of listAll(client, { pageSize: 4 })) {
    seen.push(name);
  }
  assert.deepEqual(seen, [...names, "caller"]);
  assert.equal(urls.length, 3);
});

test("listAll asks for no more than is read", async () => {
  const { owner, client, urls } = await counted();
  await createMany(owner, 5);
  for await (const { name } of listAll(client, { pageSize: 2 })) {
    if (name === "key 3") break;
  }
  assert.equal(urls.length, 1);
});

test("listAll tells no key twice while keys are created", async () => {
  const { owner, client } = await counted();
  const names = await createMany(owner, 7);
  const seen: string[] = [];
  for await (const { name } of listAll(client, { pageSize: 3 })) {
    seen.push(name);
    await create(owner, `meanwhile ${seen.length}`);
  }
  assert.deepEqual(seen, [...names, "caller"]);
});

test("listAll misses no key while what it lists is revoked", async () => {
  const { owner } = await newOwner();
  const names = await createMany(owner, 8);
  const seen: string[] = [];
  for await (const { id, name } of listAll(admin, { owner, status: "ACTIVE", search: "KEY", pageSize: 3 })) {
    seen.push(name);
    await unwrap(admin.DELETE("/v1/api-keys/{key_name}", { params: { path: { key_name: id } } }));
  }
  assert.deepEqual(seen, names);
});

test("listAll does not take an older service's first page for the whole list", async () => {
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

test("listAll throws what the service refuses", async () => {
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

test("listAll ends when it is told to", async () => {
  const { client, urls } = await counted();
  await assert.rejects(listAll(client, { signal: AbortSignal.abort() }).next(), { name: "AbortError" });
  assert.equal(urls.length, 1); // openapi-fetch made the request, and fetch refused it
});
