// Portman makes a Postman collection of openapi.yaml, with a test of each answer; Newman plays it, in
// the contract's order and with nothing but its examples, against the service. A webhook's id is in no example.
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { contract, folder, root, run, service, tool } from "./kit.js";

test("Portman's collection, played by Newman", async (t) => {
  const { url, key } = await service(t);
  const cwd = await folder(t);
  const collection = join(cwd, "collection.json");
  await run(tool("portman"), ["--local", contract, "--filterFile", join(root, "docs/played.filter.json"), "--baseUrl", url, "--output", collection], { cwd });
  const report = join(cwd, "report.json");
  await run(tool("newman"), [
    "run", collection, "--env-var", `apiKey=${key}`, "--env-var", `bearerToken=${key}`,
    "--reporters", "cli,json", "--reporter-json-export", report,
  ], { cwd });
  const { run: result } = JSON.parse(await readFile(report, "utf8"));
  assert.equal(result.stats.requests.failed, 0);
  assert.ok(result.stats.assertions.total >= 69, `only ${result.stats.assertions.total} assertions`);
  t.diagnostic(`${result.stats.assertions.total} assertions in ${result.stats.requests.total} requests`);
});
