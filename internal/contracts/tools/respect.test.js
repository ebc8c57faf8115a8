// Redocly's respect plays the life of a key (docs/key-life.arazzo.yaml) and holds every answer
// against openapi.yaml.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { root, run, service, tool } from "./kit.js";

const document = join(root, "docs/key-life.arazzo.yaml");

test("the Arazzo document passes Redocly's linter", () => run(tool("redocly"), ["lint", document]));

test("respect plays the life of a key", async (t) => {
  const { url, key } = await service(t);
  const output = await run(tool("redocly"), [
    "respect", document, "--input", `key=${key}`, "--server", `apikeyd=${url}`,
  ]);
  assert.match(output, /Steps: 19 passed/);
  assert.doesNotMatch(output, new RegExp(key));
});
