// Prism as a mock server, whose every answer is right and makes sense, and as a proxy, which finds
// nothing wrong with what the service and its clients say to each other.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before, test } from "node:test";
import Ajv from "ajv";
import formats from "ajv-formats";
import { parse } from "yaml";
import { apikeyd, contract, folder, port, run, service, start, tool } from "./kit.js";

const ajv = new Ajv({ strict: false, allErrors: true });
formats(ajv);
let api;
before(async () => {
  api = parse(await readFile(contract, "utf8"));
  ajv.addSchema(api, "contract");
});

const resolve = (value) =>
  value?.$ref ? resolve(value.$ref.slice(2).split("/").reduce((at, key) => at[key], api)) : value;
const pointer = (...path) => "contract#/" + path.map((p) => p.replaceAll("~", "~0").replaceAll("/", "~1")).map(encodeURIComponent).join("/");

/** Every operation: its method, path, a request that its examples make, and its answers. */
function operations() {
  return Object.entries(api.paths).flatMap(([path, item]) =>
    ["get", "post", "patch", "delete"].filter((method) => item[method]).map((method) => {
      const operation = item[method];
      const [type, media] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
      const schema = resolve(media?.schema);
      const value = media?.example ?? Object.values(media?.examples ?? {})[0]?.value ??
        Object.fromEntries((schema?.required ?? []).map((name) => [name, resolve(schema.properties[name]).example]));
      const body = type && (type === "application/json" ? JSON.stringify(value) : new URLSearchParams(value).toString());
      const headers = Object.fromEntries((operation.parameters ?? []).map(resolve).filter((p) => p.in === "header").map((p) => [p.name, p.example]));
      return { name: operation.operationId, method, path, type, body, headers, responses: operation.responses };
    }));
}

/** What is wrong with a body that no schema can tell. */
function nonsense(status, body) {
  const keys = [body, body?.key, ...(body?.data ?? [])].filter((key) => key?.prefix);
  const wrong = [];
  if (status >= 400 && body.status !== status) wrong.push(`its status is ${body.status}`);
  if (status >= 400 && !(body.code && body.request_id)) wrong.push("it has no code or request_id");
  for (const key of keys) {
    const refused = Boolean(key.revoked_at) || !key.enabled;
    if ((key.status === "REVOKED") !== refused) wrong.push(`a key is ${key.status}, enabled ${key.enabled} and revoked_at ${key.revoked_at}`);
    if (Boolean(key.revoked_at) !== Boolean(key.revocation_reason)) wrong.push(`revoked_at is ${key.revoked_at} and the reason ${key.revocation_reason}`);
    if (key.grace_ends_at && key.status !== "ACTIVE") wrong.push(`a key is ${key.status} and has a grace`);
    if (key.secret && !key.secret.startsWith(key.prefix)) wrong.push(`the secret is "${key.secret}"`);
  }
  if (body?.valid !== undefined) {
    if (body.valid !== (body.code === "VALID")) wrong.push(`valid is ${body.valid} and code ${body.code}`);
    if (Boolean(body.retry_after_seconds) !== ["QUOTA_EXCEEDED", "RATE_LIMITED"].includes(body.code)) wrong.push(`${body.code} has retry_after_seconds ${body.retry_after_seconds}`);
    if (Boolean(body.key) !== (body.code !== "NOT_FOUND")) wrong.push(`${body.code} has the key ${JSON.stringify(body.key)}`);
  }
  return wrong;
}

test("Prism as a mock: each operation, status and example", async (t) => {
  const address = `127.0.0.1:${await port()}`;
  await start(t, tool("prism"), ["mock", "--port", address.split(":")[1], contract], /Prism is listening/);
  let answers = 0;
  for (const { name, method, path, type, body, headers, responses } of operations()) {
    const url = `http://${address}${path.replace("{key_name}", "ci-pipeline")}`;
    for (const [documented, reference] of Object.entries(responses)) {
      const response = resolve(reference);
      const media = response.content?.["application/json"];
      const examples = Object.entries(media?.examples ?? {});
      for (const [example, { value } = {}] of examples.length ? examples : [[]]) {
        const status = documented === "default" ? (resolve(value)?.status ?? 500) : Number(documented);
        if (documented === "default" && responses[status]) continue; // where Prism has that one
        const prefer = `code=${status}` + (example ? `, example=${example}` : "");
        await t.test(`${name} ${prefer}`, async () => {
          const answer = await fetch(url, {
            method: method.toUpperCase(), body,
            headers: { "x-api-key": "ak_secret", prefer, ...headers, ...(type && { "content-type": type }) },
          });
          const text = await answer.text();
          assert.equal(answer.status, status, text);
          answers++;
          if (!media) return assert.equal(text, "");
          const read = JSON.parse(text);
          const at = reference.$ref ? reference.$ref.slice(2).split("/") : ["paths", path, method, "responses", documented];
          const valid = ajv.compile({ $ref: pointer(...at, "content", "application/json", "schema") });
          assert.ok(valid(read), ajv.errorsText(valid.errors) + "\n" + text);
          assert.deepEqual(nonsense(status, read), [], text);
        });
      }
    }
  }
  t.diagnostic(`${answers} answers`);
});

test("Prism as a proxy between our client and the service", async (t) => {
  const { url, key } = await service(t);
  const address = `127.0.0.1:${await port()}`;
  await start(t, tool("prism"), ["proxy", "--errors", "--port", address.split(":")[1], contract, url], /Prism is listening/);
  const env = { APIKEYD_URL: `http://${address}`, APIKEYD_KEY: key };
  const cwd = await folder(t);
  for (const args of [
    ["create", "--name", "a key", "--owner", "customer-42", "--expires-in", "90d", "--scope", "datasets:read", "--rate-limit", "100/1m"],
    ["list", "--owner", "customer-42"],
    ["get", "a key", "--owner", "customer-42"],
    ["rotate", "a key", "--owner", "customer-42", "--grace", "1h"],
    ["update", "a key", "--owner", "customer-42", "--no-rate-limit"],
    ["revoke", "a key", "--owner", "customer-42", "--yes"],
  ]) await run(apikeyd, ["keys", ...args], { cwd, env });
  for (const [method, path, body, status] of [
    ["GET", "/v1/api-keys?items_per_page=1", undefined, 200],
    ["POST", "/v1/api-keys", { name: "a/b %", expires_at: "2030-01-31T12:00:00Z" }, 201],
    ["PATCH", "/v1/api-keys/a%2Fb%20%25", { rate_limit: null }, 200],
    ["POST", "/v1/api-keys/a%2Fb%20%25/rotate", undefined, 200],
    ["POST", "/v1/verify", { key }, 200],
    ["GET", "/v1/api-keys/none", undefined, 404],
    ["GET", "/v1/summary", undefined, 200],
    ["GET", "/v1/usage", undefined, 200],
    ["GET", "/v1/audit-events?items_per_page=3", undefined, 200],
    ["POST", "/v1/leaked-keys", { key: "nothing" }, 202],
  ]) {
    const direct = await fetch(`http://${address}${path}`, {
      method, body: body && JSON.stringify(body),
      headers: { "x-api-key": key, ...(body && { "content-type": "application/json" }) },
    });
    const text = await direct.text();
    assert.equal(direct.headers.get("sl-violations"), null, `${method} ${path}: ${text}`);
    assert.equal(direct.status, status, `${method} ${path}: ${text}`);
  }
});
