// The collections that a release ships (collections.js), played against the service: Postman's by
// Newman, and Bruno's by its command line, which runs folders only and so imports the contract itself.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { contract, folder, run, service, tool } from "./kit.js";

// A webhook has no name, so a played example never has the id of one that is there; and secret scanning is off.
const expected = (path, status) => (/v1\/(webhooks|secret-scanning)\//.test(path) ? 404 : status < 300 ? status : 200);

test("the same contract gives the same collections, and Newman plays Postman's", async (t) => {
  const { url, key } = await service(t);
  const [first, second] = [await folder(t), await folder(t)];
  for (const path of [first, second]) await run("node", ["collections.js", path]);
  for (const name of ["apikeyd.postman_collection.json", "apikeyd.bruno_collection.json"]) {
    const text = await readFile(join(first, name), "utf8");
    assert.ok(text === (await readFile(join(second, name), "utf8")), `${name} differs`);
    const { variable, environments } = JSON.parse(text);
    const bases = (variable ?? environments[0].variables).filter(({ key, name }) => (key ?? name) === "baseUrl");
    assert.deepEqual(bases.map(({ value }) => value), ["http://127.0.0.1:8080"], `${name}: the contract's own base is .`);
  }
  const report = join(first, "report.json");
  await run(tool("newman"), [
    "run", join(first, "apikeyd.postman_collection.json"), "--env-var", `baseUrl=${url}`, "--env-var", `apiKey=${key}`,
    "--env-var", `bearerToken=${key}`, "--reporters", "json", "--reporter-json-export", report,
  ]);
  const { run: { executions } } = JSON.parse(await readFile(report, "utf8"));
  assert.equal(executions.length, 31);
  const failed = executions.filter(({ request, response }) => response.code !== expected(request.url.path.join("/"), response.code));
  assert.deepEqual(failed.map(({ item, response }) => `${item.name}: ${response.code}`), []);
});

test("Bruno imports the contract and plays it", async (t) => {
  const { url, key } = await service(t);
  const cwd = join(await folder(t), "collection"); // bru makes it
  await run(tool("bru"), ["import", "openapi", "--source", contract, "--output", cwd, "--collection-format", "bru", "--collection-name", "apikeyd"]);
  const report = join(cwd, "report.json");
  await run(tool("bru"), [
    "run", "-r", "--env-var", `baseUrl=${url}`, "--env-var", `apiKey=${key}`, "--reporter-json", report,
  ], { cwd });
  const results = JSON.parse(await readFile(report, "utf8")).flatMap(({ results }) => results);
  assert.equal(results.length, 31);
  const failed = results.filter(({ request, response }) => response.status !== expected(request.url, response.status));
  assert.deepEqual(failed.map(({ test, response }) => `${test.filename}: ${response.status}`), []);
});
