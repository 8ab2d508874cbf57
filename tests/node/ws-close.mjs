// Opens a bare WebSocket and reports how it ends: the close code is what a NATS client does not pass on.
//
// In:  {url, protocols?, send?}; "send" is a list of texts to send once it is open.
// Out: {open: true, protocol, extensions}, then {code, reason, clean, messages}.
//      Code 1006 is the standard's word for a connection that broke off without a close frame.
// When it does not open, the only line is {open: false, error}.

import { drive, message, tell } from "./driver.mjs";

await drive(600, ({ url, protocols = [], send = [] }) => new Promise((finish) => {
  const socket = new WebSocket(url, protocols);
  let open = false;
  let messages = 0;
  socket.onopen = () => {
    open = true;
    tell({ open, protocol: socket.protocol, extensions: socket.extensions });
    for (const text of send) socket.send(text);
  };
  socket.onmessage = () => { messages += 1; };
  // Node 20 lets no close event follow when the handshake fails.
  socket.onerror = (event) => { if (!open) finish({ open, error: message(event.error ?? event.message) }); };
  socket.onclose = ({ code, reason, wasClean }) => finish({ code, reason, clean: wasClean, messages });
}));
