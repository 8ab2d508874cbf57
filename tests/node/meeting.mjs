// Stays in a meeting as the plugNmeet client does: one connection to NATS, with the options of that client.
//
// In:  {url}; then, on stdin, a line for each question, and the end.
// Out: {connected: true}, and for each question, once NATS has answered or the library has given up for good,
//      {alive, events, away}: what the library told of the connection so far, and the longest time without one in ms.

import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { wsconnect } from "@nats-io/nats-core";
import { drive, tell } from "./driver.mjs";

await drive(900, async ({ url }) => {
  const connection = await wsconnect({ servers: url, pingInterval: 10_000 });
  const events = [];
  let away = 0;
  let since;
  (async () => {
    for await (const { type } of connection.status()) {
      if (type === "disconnect") since = performance.now();
      if (type === "reconnect") away = Math.max(away, Math.round(performance.now() - since));
      // A ping of the client's own is nothing that happens.
      if (type !== "ping") events.push(type);
    }
  })();
  tell({ connected: true });

  const alive = async () => {
    while (!connection.isClosed()) {
      try {
        await connection.flush();
        return true;
      } catch {
        await sleep(50);
      }
    }
    return false;
  };
  const report = async () => ({ alive: await alive(), events, away });
  for await (const _ of createInterface({ input: process.stdin })) tell(await report());
  return report();
});
