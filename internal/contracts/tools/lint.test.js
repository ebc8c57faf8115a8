// What linters find in openapi.yaml: nothing.
import { join } from "node:path";
import { test } from "node:test";
import { contract, root, run, tool } from "./kit.js";

test("Redocly, strict", () =>
  run(tool("redocly"), ["lint", "--config", join(root, "client/typescript/redocly.yaml"), contract]));

test("Spectral, with the OpenAPI and the OWASP rules", () =>
  run(tool("spectral"), ["lint", "--ruleset", "spectral.yaml", "--fail-severity", "hint", contract]));
