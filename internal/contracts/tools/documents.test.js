// The commands of docs/contract-testing.md, each pasted into a shell next to the contract, a running
// service and its key. npx runs what package-lock.json pins, which must be the version that the document names (pinned.js).
import assert from "node:assert/strict";
import { chmod, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { folder, port, root, run, service, start } from "./kit.js";

const npx = `#!/usr/bin/env bash
set -euo pipefail
shift # --yes
program=$(node ${JSON.stringify(join(import.meta.dirname, "pinned.js"))} "$1")
shift
exec node "$program" "$@"
`;

const text = await readFile(join(root, "docs/contract-testing.md"), "utf8");
const blocks = [...text.matchAll(/^```bash( serves)?\n(.*?)^```$/gms)].map(([, serves, command]) => ({ serves, command }));

test("contract-testing.md has commands", () => assert.ok(blocks.length >= 7, `${blocks.length} commands`));

for (const { serves, command } of blocks) {
  test(command.split("\n")[0], async (t) => {
    const cwd = await folder(t);
    const { url, key } = await service(t);
    await mkdir(join(cwd, "bin"));
    await writeFile(join(cwd, "bin/npx"), npx);
    await chmod(join(cwd, "bin/npx"), 0o755);
    await writeFile(join(cwd, "admin.key"), key);
    for (const name of ["openapi.yaml", "docs"]) await symlink(join(root, name), join(cwd, name));
    const script = `PATH=${cwd}/bin:$PATH\nset -euo pipefail\n` +
      command.replaceAll("http://127.0.0.1:8080", url).replace(/--port \d+/, `--port ${await port()}`);
    if (serves) await start(t, "bash", ["-c", script.replace(/^npx/m, "exec npx")], /Prism is listening/, { cwd });
    else await run("bash", ["-c", script], { cwd });
  });
}
