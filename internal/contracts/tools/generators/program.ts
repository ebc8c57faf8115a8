// One small program for every generated client: it does what clients do with keys, and ends at the
// first thing that goes wrong.
import assert from "node:assert/strict";

export interface Key {
  id: string;
  name: string;
  owner: string;
  status: string;
  rate_limit?: { limit: number; window_seconds: number };
}

/** The calls, as a generated client makes them. A refusal is thrown as Refused. */
export interface Calls {
  create(key: { name: string; expires_at: string; owner?: string; rate_limit?: { limit: number; window_seconds: number } }): Promise<Key & { secret?: string }>;
  list(query: { owner?: string; items_per_page?: number; cursor?: string }): Promise<{ data: Key[]; pagination: { next_cursor?: string } }>;
  get(name: string, owner?: string): Promise<Key>;
  removeRateLimit(name: string, owner?: string): Promise<Key>;
  rotate(name: string): Promise<Key & { secret?: string }>;
  revoke(name: string, owner?: string): Promise<Key>;
  verify(secret: string): Promise<{ code: string }>;
  /** Absent where a generator cannot send forms. */
  introspect?(secret: string): Promise<{ active: boolean }>;
}

export class Refused extends Error {
  constructor(readonly status: number, readonly code: string | undefined) {
    super(`refused: ${status} ${code}`);
  }
}

export const url = process.env.URL ?? "";
export const key = process.env.KEY ?? "";

export async function program(calls: Calls): Promise<void> {
  const expires_at = "2030-01-31T12:00:00Z";
  const refused = (status: number, code: string) => (error: unknown) => {
    assert.ok(error instanceof Refused, String(error));
    assert.deepEqual([error.status, error.code], [status, code]);
    return true;
  };

  // Another owner's key, not the caller's own of the same name.
  await calls.create({ name: "same name", expires_at });
  await calls.create({ name: "same name", expires_at, owner: "customer-42" });
  assert.equal((await calls.revoke("same name", "customer-42")).owner, "customer-42");
  assert.equal((await calls.get("same name")).status, "ACTIVE");
  assert.equal((await calls.get("same name", "customer-42")).status, "REVOKED");

  // All keys of an owner, one each page.
  const owner = "customer & co";
  for (const name of ["one", "two", "three"]) await calls.create({ name, expires_at, owner });
  const names: string[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await calls.list({ owner, items_per_page: 1, ...(cursor ? { cursor } : {}) });
    names.push(...page.data.map((found) => found.name));
    cursor = page.pagination.next_cursor;
    if (!cursor) break;
  }
  assert.deepEqual(names, ["three", "two", "one"]);

  // null is not the same as absent.
  await calls.create({ name: "limited", expires_at, rate_limit: { limit: 9, window_seconds: 60 } });
  assert.equal((await calls.get("limited")).rate_limit?.limit, 9);
  assert.equal((await calls.removeRateLimit("limited")).rate_limit, undefined);
  assert.equal((await calls.get("limited")).rate_limit, undefined);

  // A new secret at once; the old one ends.
  const created = await calls.create({ name: "rotated", expires_at });
  const rotated = await calls.rotate("rotated");
  assert.equal(rotated.id, created.id);
  assert.equal((await calls.verify(created.secret!)).code, "NOT_FOUND");
  assert.equal((await calls.verify(rotated.secret!)).code, "VALID");
  if (calls.introspect) assert.equal((await calls.introspect(rotated.secret!)).active, true);

  // A name with what paths and queries are made of.
  const awkward = await calls.create({ name: "a/b 100% ?x=1&y#z ü+", expires_at });
  assert.equal((await calls.get(awkward.name)).id, awkward.id);
  assert.equal((await calls.revoke(awkward.name)).status, "REVOKED");

  // Errors say what is wrong.
  await assert.rejects(calls.get("nowhere"), refused(404, "KEY_NOT_FOUND"));
  await assert.rejects(calls.create({ name: "old", expires_at: "2020-01-31T12:00:00Z" }), refused(400, "INVALID_REQUEST"));
  await assert.rejects(calls.create({ name: "rotated", expires_at }), refused(409, "NAME_TAKEN"));
}
