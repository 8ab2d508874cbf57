(() => {
const { fields, version, alphabet, weights, words, socket, cookie, udp, relay } = JSON.parse(document.currentScript.dataset.check);
const found = Object.fromEntries(fields.map(([name]) => [name, 0]));
const at = (id) => document.getElementById(id);
const tell = (name, state) => {
found[name] = state;
at(name).textContent = words.states[name][state];
};
const code = () => {
let bits = version, values = [];
for (const [name, width] of [...fields].reverse()) bits = bits * 2 ** width + found[name];
for (let left = weights.length; left--; bits = Math.floor(bits / 32)) values.unshift(bits % 32);
values.push(values.reduce((sum, value, nth) => sum + value * weights[nth], 0) % 32);
return values.map((value) => alphabet[value]).join("");
};
const conclude = () => {
const { webrtc, socket, udp, relay } = found;
const lost = webrtc || socket > 1;
// The ports of LiveKit's own media are not tried.
const silent = udp > 1 && relay > 1;
const poor = Object.entries(found).some(([name, state]) => name !== "frame" && state > 1);
at("verdict").textContent = words.verdicts[lost ? 2 : silent ? 3 : poor ? 1 : 0];
at("code").textContent = code();
at("result").hidden = false;
};
const cookies = () => {
try { return document.cookie.split("; ").includes(cookie) ? 1 : 2; } catch { return 2; }
};
const nats = () => new Promise((resolve) => {
let ws, opened = false;
const end = (state) => { clearTimeout(timer); ws?.close(); resolve(state); };
const timer = setTimeout(() => end(opened ? 3 : 2), 15000);
try { ws = new WebSocket(new URL("/ws", location).href.replace(/^http/, "ws")); } catch { return end(2); }
ws.binaryType = "arraybuffer";
ws.onopen = () => { opened = true; };
ws.onclose = () => end(opened ? 3 : 2);
ws.onmessage = ({ data }) => {
const text = typeof data === "string" ? data : new TextDecoder().decode(data);
end(text.startsWith("INFO ") ? 1 : 3);
};
});
const gather = (server, kind) => new Promise((resolve) => {
const seen = { local: false, wanted: false, refused: false, failed: false };
const peer = new RTCPeerConnection({ iceServers: [server], iceTransportPolicy: kind === "relay" ? "relay" : "all" });
const end = () => { clearTimeout(timer); peer.close(); resolve(seen); };
const timer = setTimeout(() => { seen.failed = true; end(); }, 15000);
peer.onicecandidate = ({ candidate }) => {
if (!candidate) return end();
if (/ udp /i.test(candidate.candidate)) seen.local = true;
if (new RegExp(` typ ${kind}`).test(candidate.candidate)) { seen.wanted = true; end(); }
};
peer.onicecandidateerror = ({ errorCode }) => { if (errorCode === 401) seen.refused = true; else seen.failed = true; };
peer.createDataChannel("check");
peer.createOffer().then((offer) => peer.setLocalDescription(offer)).catch(end);
});
const byUdp = async () => {
if (!udp) return 0;
if (relay) {
const { wanted, refused } = await gather({ ...relay, urls: udp.turn }, "relay");
return wanted || refused ? 1 : 2;
}
const { wanted, local, failed } = await gather({ urls: udp.stun }, "srflx");
return wanted || (local && !failed && "onicecandidateerror" in RTCPeerConnection.prototype) ? 1 : 2;
};
const byTls = async () => {
if (!relay) return 0;
const { wanted, refused } = await gather(relay, "relay");
return wanted ? 1 : refused ? 3 : 2;
};
const policy = document.permissionsPolicy ?? document.featurePolicy;
const mayUse = (name) => !policy || policy.allowsFeature(name);
const device = async (name, kind) => {
if (!mayUse(name)) return 2;
try {
const stream = await navigator.mediaDevices.getUserMedia({ [kind]: true });
for (const track of stream.getTracks()) track.stop();
return 1;
} catch ({ name: error }) {
return { NotAllowedError: 3, SecurityError: 3, NotFoundError: 4, OverconstrainedError: 4 }[error] ?? 5;
}
};
at("devices").onclick = async () => {
at("devices").disabled = true;
tell("camera", await device("camera", "video"));
tell("microphone", await device("microphone", "audio"));
conclude();
at("devices").disabled = false;
};
const run = async () => {
found.frame = Number(window !== top);
found.webrtc = Number(!window.RTCPeerConnection);
for (const name of ["camera", "microphone"]) tell(name, mayUse(name) ? 0 : 2);
tell("cookies", cookies());
await Promise.all([
socket ? nats().then((state) => tell("socket", state)) : tell("socket", 0),
found.webrtc ? tell("udp", 0) : byUdp().then((state) => tell("udp", state)),
found.webrtc ? tell("relay", 0) : byTls().then((state) => tell("relay", state)),
]);
conclude();
};
run();
})();
