import assert from "node:assert/strict";
import { test } from "node:test";

import { type AuditEvent, auditEvents, unwrap } from "../src/index.js";
import { admin, create, newOwner } from "./service.js";

test("auditEvents returns the events of all pages, newest first", async () => {
  const { owner, key, client } = await newOwner();
  await create(owner, "first");
  const { id } = await create(owner, "second");
  await unwrap(client.PATCH("/v1/api-keys/{key_name}", { params: { path: { key_name: id } }, body: { name: "renamed" } }));
  const seen: AuditEvent[] = [];
  for await (const event of auditEvents(admin, { owner, pageSize: 2 })) {
    seen.push(event);
    await create(owner, `meanwhile ${seen.length}`);
  }
  assert.deepEqual(
    seen.map(({ action, name }) => `${action} ${name}`),
    ["update renamed", "create second", "create first", "create caller"],
  );
  assert.deepEqual(seen[0]?.changes, { name: { from: "second", to: "renamed" } });
  assert.equal(seen[0]?.actor, key.id);
  for await (const event of auditEvents(admin, { owner, action: "update" })) {
    assert.equal(event.id, seen[0]?.id);
  }
});

test("auditEvents is for admins", async () => {
  const { client } = await newOwner();
  await assert.rejects(auditEvents(client).next(), { status: 403, code: "INSUFFICIENT_SCOPE" });
});
