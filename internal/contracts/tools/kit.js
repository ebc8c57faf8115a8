// What the tests of this folder share: the service on a port of its own, and programs run to their end.
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

export const root = resolve(import.meta.dirname, "../../..");
export const contract = join(root, "openapi.yaml");
export const apikeyd = process.env.APIKEYD_BIN ?? join(root, "bin/apikeyd");

const quiet = {
  ...process.env,
  NO_COLOR: "1",
  REDOCLY_SUPPRESS_UPDATE_NOTICE: "true",
  REDOCLY_TELEMETRY: "off",
};

/** A tool of node_modules. */
export const tool = (name) => join(import.meta.dirname, "node_modules/.bin", name);

/** A folder that is removed after the test. */
export async function folder(t) {
  const path = await mkdtemp(join(tmpdir(), "contract-tools-"));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** Runs a program to its end and returns what it printed; a failure is an error that shows it. */
export async function run(command, args, { cwd = import.meta.dirname, env = {} } = {}) {
  const child = spawn(command, args, { cwd, env: { ...quiet, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout.on("data", (data) => (output += data));
  child.stderr.on("data", (data) => (output += data));
  const code = await new Promise((done, failed) => child.on("error", failed).on("close", done));
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} exits with ${code}:\n${output}`);
  return output;
}

/** Starts a program that serves until the test ends; resolves once it prints what `ready` matches. */
export async function start(t, command, args, ready, { cwd } = {}) {
  const child = spawn(command, args, { cwd, env: quiet, stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise((done) => child.on("close", done));
  t.after(async () => {
    child.kill();
    await ended;
  });
  let output = "";
  return new Promise((done, failed) => {
    const read = (data) => {
      output += data;
      const match = ready.exec(output);
      if (match) done(match);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("error", failed);
    ended.then(() => failed(new Error(`${command} ended:\n${output}`)));
  });
}

/** The service on a new database, with the key that may do everything. */
export async function service(t) {
  const cwd = await folder(t);
  const args = ["serve", "--listen", "127.0.0.1:0", "--auth-failures-per-minute", "0"];
  const [, url] = await start(t, apikeyd, args, /msg=serving url=(\S+)/, { cwd });
  const key = (await readFile(join(cwd, "admin.key"), "utf8")).trim();
  return { url, key };
}

/** A port of 127.0.0.1 on which nobody listens, for tools that cannot choose one. */
export async function port() {
  const server = createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}
