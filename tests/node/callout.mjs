// Answers NATS' auth callout at a set rate, in plugnmeet-server's place: one question after the other, as they came, so
// that how many get in does not hang on the machine's speed. Whoever shows a token gets in.
//
// In:  {url, rate, again?}; then a line {rate} on stdin for another one. `again`: the pause between two tries to come back to
//      NATS, in ms.
// Out: {ready: true}; when stdin ends {answered, longest}: how many questions, and how many waited at once at most.
//
// Sources: NATS' auth callout (`$SYS.REQ.USER.AUTH`, ADR-26) and its JWTs.

import { createPrivateKey, sign } from "node:crypto";
import { createInterface } from "node:readline";
import { wsconnect } from "@nats-io/nats-core";
import { fromSeed } from "@nats-io/nkeys";
import { drive, tell } from "./driver.mjs";

// Of the tests alone; the public key is in tests/support/nats.rs.
const issuer = fromSeed(new TextEncoder().encode("SAAM4HCL4L4NNSLMM3AXSBUSLUWKRQMFJ23OCI65X3QEMOZAIPPCPHBJGA"));
// Node's own signatures: those of the library take so long that a hundred in a second keep a processor busy. RFC 8410 section 7.
const header = Buffer.from("302e020100300506032b657004220420", "hex");
const key = createPrivateKey({ key: Buffer.concat([header, issuer.getRawSeed()]), format: "der", type: "pkcs8" });

await drive(900, async ({ url, rate, again = 50 }) => {
  const connection = await wsconnect({
    servers: url, user: "callout", pass: "callout", maxReconnectAttempts: -1, reconnectTimeWait: again, reconnectJitter: 0, pingInterval: 1000,
  });
  const waiting = [];
  let [answered, longest, next] = [0, 0, 0];
  connection.subscribe("$SYS.REQ.USER.AUTH", {
    callback: (error, question) => {
      if (error) return;
      waiting.push(question);
      longest = Math.max(longest, waiting.length);
    },
  });
  await connection.flush();
  const serve = () => {
    const now = performance.now();
    // A rate of its own, however late a busy machine calls; what nobody asked for in time is not made up for.
    if (waiting.length === 0) next = Math.max(next, now);
    while (waiting.length > 0 && next <= now) {
      answer(waiting.shift());
      answered += 1;
      next += 1000 / rate;
    }
  };
  const serving = setInterval(serve, 2);
  tell({ ready: true });
  for await (const line of createInterface({ input: process.stdin })) rate = JSON.parse(line).rate;
  clearInterval(serving);
  return { answered, longest };
});

function answer(question) {
  const { nats } = JSON.parse(Buffer.from(question.string().split(".")[1], "base64url"));
  const user = nats.user_nkey;
  const jwt = signed({
    sub: user, aud: "APP", name: "participant",
    nats: { type: "user", version: 2, pub: {}, sub: {}, subs: -1, data: -1, payload: -1 },
  });
  const claims = { type: "authorization_response", version: 2 };
  const is_in = Boolean(nats.connect_opts.auth_token);
  question.respond(signed({
    sub: user, aud: nats.server_id.id, nats: is_in ? { ...claims, jwt } : { ...claims, error: "no token" },
  }));
}

function signed(claims) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const text = `${part({ typ: "JWT", alg: "ed25519-nkey" })}.${part({ jti: crypto.randomUUID(), iat: now, iss: issuer.getPublicKey(), ...claims })}`;
  return `${text}.${sign(null, Buffer.from(text), key).toString("base64url")}`;
}
