// The client, as far as sessions go (docs/plugnmeet.md sections 0.3, 0.11, 0.12, 6 and 7). The test talks to
// `window.client`.

// A token that NATS brought is in memory alone.
let renewed = "";

function fromCookie() {
  for (let pair of document.cookie.split(";")) {
    while (pair.startsWith(" ")) pair = pair.slice(1);
    if (pair.startsWith("pnm_access_token=")) return pair.slice("pnm_access_token=".length);
  }
  return "";
}

function accessToken() {
  return renewed || new URLSearchParams(location.search).get("access_token") || fromCookie();
}

// Strings of a protobuf message by their number; all that comes here is short.
function strings(bytes) {
  const found = {};
  for (let at = 0; at < bytes.length; ) {
    const [number, type, next] = [bytes[at] >> 3, bytes[at] & 7, bytes[at + 1]];
    at += 2;
    if (type === 2) found[number] = new TextDecoder().decode(bytes.subarray(at, (at += next)));
  }
  return found;
}

async function call(path, token = accessToken()) {
  const response = await fetch(`${window.plugNmeetConfig.serverUrl}/api/${path}`, {
    method: "POST",
    headers: { Authorization: token, "Content-Type": "application/protobuf" },
    body: new Uint8Array([0x08, 0x01]),
  });
  const { 2: message, 5: room, 6: user } = strings(new Uint8Array(await response.arrayBuffer()));
  return { status: response.status, message, room, user };
}

window.client = {
  call,
  accessToken,
  renew: (token) => void (renewed = token),
  design: () => JSON.parse(new URLSearchParams(location.search).get("custom_design") ?? "null"),
  breakout(token) {
    const search = new URLSearchParams(location.search);
    search.set("access_token", token);
    const url = `${location.protocol}//${location.host}${location.pathname}?${search}`;
    return window.open(url, "_blank") !== null;
  },
};

const css = window.client.design()?.custom_css_url;
if (css) {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = css;
  await new Promise((done) => {
    link.onload = link.onerror = done;
    document.head.append(link);
  });
}

// What stands there until now goes, as at the first drawing of the real client.
const state = document.getElementById("plugNmeet-app");
state.replaceChildren();
if (accessToken()) {
  const { message, room, user } = await call("verifyToken");
  state.textContent = room ? `${user} is in ${room}` : message;
} else {
  state.textContent = "token missing";
}
document.title = "ready";
