// Talks NATS over a WebSocket with the client library that the plugNmeet client uses.
//
// In:  {url, user?, pass?, messages?, size?}: sends that many messages of that size to itself and compares each byte.
// Out: {server, sent, received, intact}; "received" counts every message, "intact" those that are right and in order.
// In:  {url, user?, pass?, hold: true}: stays connected until the other side ends it.
// Out: {connected: true, server} at once, then {closed: true, error}.
// When no connection comes about, the only line is {connected: false, error}.

import { wsconnect } from "@nats-io/nats-core";
import { drive, message, tell } from "./driver.mjs";

const ring = Uint8Array.from({ length: 512 }, (_, position) => position % 256);

await drive(600, async ({ url, user, pass, messages = 1, size = 256, hold = false }) => {
  let connection;
  try {
    connection = await wsconnect({ servers: url, user, pass, reconnect: false, timeout: 120_000 });
  } catch (error) {
    return { connected: false, error: message(error) };
  }
  return hold ? await untilClosed(connection) : await echo(connection, messages, size);
});

async function echo(connection, messages, size) {
  let received = 0;
  let intact = 0;
  const subscription = connection.subscribe("echo.there", {
    max: messages,
    callback: (error, arrived) => {
      if (error) return;
      if (same(arrived.data, payload(received, size))) intact += 1;
      received += 1;
    },
  });
  for (let index = 0; index < messages; index += 1) connection.publish("echo.there", payload(index, size));
  await connection.flush();
  await Promise.race([subscription.closed, connection.closed()]);
  const server = about(connection);
  await connection.drain();
  return { connected: true, server, sent: messages, received, intact };
}

async function untilClosed(connection) {
  tell({ connected: true, server: about(connection) });
  const error = await connection.closed();
  return { closed: true, error: error ? message(error) : null };
}

// Every byte value in turn, beginning with another one in each message: no two neighbours are alike.
function payload(index, size) {
  return Buffer.alloc(size, ring.subarray(index % 256, index % 256 + 256));
}

function same(one, other) {
  return Buffer.compare(one, other) === 0;
}

function about({ info }) {
  return { server_id: info.server_id, version: info.version, max_payload: info.max_payload };
}
