// People who join as plugNmeet's client does: verifyToken, without a time limit, then NATS by its own library with the
// client's options, but for the time to connect (20 s), as a busy machine may take longer. A first connection is not tried
// again.
//
// In:  {origin, people: [{name, token, after?, later?, direct?}], hold?, returns?}; times in ms. One who comes "later" waits for a
//      line on stdin; one who is "direct" comes to NATS without asking.
// Out: {people: {NAME: {verified?, in?, error?}}}, times in ms since the beginning, once everybody is in, refused or gone.
//      With "hold" all stay; once each of them has come back, so many times as "returns" says, or is closed for good {back, closed}, how many of each.

import { once } from "node:events";
import { tokenAuthenticator, wsconnect } from "@nats-io/nats-core";
import { drive, message, tell } from "./driver.mjs";

const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));

await drive(900, async ({ origin, people, hold = false, returns: times = 1 }) => {
  const began = performance.now();
  const since = () => Math.round(performance.now() - began);
  const returns = [];
  let [back, closed] = [0, 0];
  const told = people.some(({ later }) => later) ? once(process.stdin, "data") : null;

  const join = async ({ token, after = 0, later = false, direct = false }) => {
    if (later) await told;
    await sleep(after);
    const seen = {};
    try {
      if (!direct) {
        const answer = await fetch(`${origin}/api/verifyToken`, {
          method: "POST",
          headers: { Authorization: token, "Content-Type": "application/protobuf" },
          body: new Uint8Array([8, 1]),
        });
        const body = new Uint8Array(await answer.arrayBuffer());
        if (answer.status !== 200 || body[0] !== 8 || body[1] !== 1) {
          return { error: `verifyToken: ${answer.status} ${Buffer.from(body)}` };
        }
        seen.verified = since();
      }
      const connection = await wsconnect({
        servers: `${origin.replace("http", "ws")}/ws`, authenticator: tokenAuthenticator(token), pingInterval: 10_000,
        // Who redials before the service is back waits in NATS until its own time is over, as the client's 20 s are.
        timeout: hold ? 20_000 : 600_000,
      });
      returns.push(comesBack(connection));
      return { ...seen, in: since() };
    } catch (error) {
      return { ...seen, error: message(error) };
    }
  };
  // Whoever is closed for good ends the list, too, so that nobody is waited for in vain.
  const comesBack = async (connection) => {
    let returned = 0;
    for await (const { type } of connection.status()) {
      if (type === "reconnect" && ++returned === times) {
        back += 1;
        return;
      }
    }
    closed += 1;
  };

  const seen = await Promise.all(people.map(async (person) => [person.name, await join(person)]));
  const report = { people: Object.fromEntries(seen) };
  if (!hold) return report;
  tell(report);
  await Promise.all(returns);
  return { back, closed };
});
