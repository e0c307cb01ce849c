// `asr serve` for a test: started on a free port, ready when this returns, and ended with the test.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const TIME_LIMIT = 120_000; // ms, for a first start that compiles

async function findPort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Start a server; returns {address, stop()}. */
export async function startServer(...options) {
  const port = await findPort();
  const address = `http://127.0.0.1:${port}/`;
  const command = ["-m", "asr", "serve", "--port", String(port), ...options];
  const server = spawn(process.env.PYTHON, command, { stdio: ["ignore", "ignore", "inherit"] });
  const ended = once(server, "exit");
  const stop = async () => {
    server.kill("SIGTERM");
    await ended;
  };
  process.once("exit", () => server.kill("SIGKILL"));
  for (const start = Date.now(); Date.now() - start < TIME_LIMIT; await sleep(200)) {
    if (server.exitCode !== null) throw new Error(`asr serve ended with status ${server.exitCode}`);
    const response = await fetch(`${address}ready`).catch(() => null);
    if (response?.ok) return { address, stop };
  }
  await stop();
  throw new Error(`asr serve was not ready within ${TIME_LIMIT / 1000} s`);
}
