import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";

import { ApiKeysError, createApiKeysClient, unwrap } from "../src/index.js";
import { baseUrl, newOwner, tomorrow } from "./service.js";

const secret = `ak_${"x".repeat(60)}`;

test("an error is returned in the contract's form", async () => {
  const { client } = await newOwner();
  const { data, error, response } = await client.POST("/v1/api-keys", {
    body: { name: "caller", expires_at: tomorrow() },
  });
  assert.equal(data, undefined);
  assert.deepEqual([error?.status, error?.code], [409, "NAME_TAKEN"]);
  assert.match(error?.message ?? "", /name is taken/);
  assert.equal(error?.request_id, response.headers.get("x-request-id"));
});

test("unwrap throws the error with all its fields", async () => {
  const { client } = await newOwner();
  const call = client.POST("/v1/api-keys", { body: { name: "old", expires_at: "2001-01-31T12:00:00Z" } });
  const error = await unwrap(call).then(() => assert.fail("nothing was thrown"), (e: unknown) => e);
  assert.ok(error instanceof ApiKeysError && error instanceof Error);
  assert.deepEqual([error.name, error.status, error.code], ["ApiKeysError", 400, "INVALID_REQUEST"]);
  assert.match(error.message, /expires_at must be in the future/);
  assert.match(error.requestId ?? "", /^[A-Z2-7]{26}$/);
  assert.deepEqual(error.details.map(({ field }) => field), ["expires_at"]);
});

test("a wrong key is refused, and not repeated", async () => {
  const call = createApiKeysClient({ baseUrl, key: secret }).GET("/v1/api-keys");
  await assert.rejects(unwrap(call), (error) => {
    assert.ok(error instanceof ApiKeysError);
    assert.deepEqual([error.status, error.code], [401, "CREDENTIAL_INVALID"]);
    assert.ok(!JSON.stringify([error, error.message, error.stack]).includes(secret));
    return true;
  });
});

test("an impossible key is refused at once, and not repeated", () => {
  for (const key of [`${secret}\nx`, `${secret} x`, `${secret}é`, `${secret}\0`]) {
    assert.throws(
      () => createApiKeysClient({ baseUrl, key }),
      (error) => error instanceof TypeError && !error.message.includes(secret),
    );
  }
});

test("a missing key is reported at once", () => {
  const { APIKEYD_UNSET } = process.env;
  for (const key of [APIKEYD_UNSET!, "", " ", "\uFEFF\r\n"]) {
    assert.throws(() => createApiKeysClient({ baseUrl, key }), { name: "Error", message: /^key is missing or empty: / });
  }
});

/** Starts another HTTP server, which runs until the test ends. */
async function elsewhere(t: TestContext, answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("an answer that is not the service's is an error without a code", async (t) => {
  for (const [status, type, body] of [
    [502, "text/html", "<html>Bad Gateway</html>"],
    [503, "application/json", `{"error":"no"}`],
    [500, "application/json", "null"],
    [404, "text/plain", ""],
    [200, "text/plain", ""],
  ] as const) {
    const url = await elsewhere(t, (_, response) => {
      response.writeHead(status, { "content-type": type, "content-length": body.length }).end(body);
    });
    await assert.rejects(unwrap(createApiKeysClient({ baseUrl: url, key: secret }).GET("/v1/api-keys")), (error) => {
      assert.ok(error instanceof ApiKeysError);
      assert.deepEqual([error.status, error.code, error.requestId], [status, undefined, undefined]);
      assert.match(error.message, /not the service's/);
      return true;
    });
  }
});

test("a redirect is not followed with the key", async (t) => {
  const seen: IncomingMessage[] = [];
  const other = await elsewhere(t, (request, response) => {
    seen.push(request);
    response.end("{}");
  });
  const url = await elsewhere(t, (_, response) => {
    response.writeHead(307, { location: `${other}/v1/api-keys` }).end();
  });
  await assert.rejects(createApiKeysClient({ baseUrl: url, key: secret }).GET("/v1/api-keys"), TypeError);
  assert.equal(seen.length, 0);
});

test("baseUrl may have a path, and a slash at its end", async (t) => {
  const seen: (string | undefined)[] = [];
  const url = await elsewhere(t, (request, response) => {
    seen.push(request.url, String(request.headers["x-api-key"]));
    response.setHeader("content-type", "application/json");
    response.end("{}");
  });
  await createApiKeysClient({ baseUrl: `${url}/keys/`, key: secret }).GET("/v1/api-keys");
  assert.deepEqual(seen, ["/keys/v1/api-keys", secret]);
});
