// Asks for a join token with the real plugnmeet-sdk-js, as an integrator's server does.
//
// In:  {url, apiKey, secret, params}, params as the SDK's caller writes them.
// Out: what the SDK handed to its caller. A self-signed gateway is trusted by NODE_EXTRA_CA_CERTS.

import { createRequire } from "node:module";
import { drive } from "./driver.mjs";

// The package names its ES module in a field that only bundlers read; to Node it is CommonJS.
const { PlugNmeet } = createRequire(import.meta.url)("plugnmeet-sdk-js");

await drive(600, ({ url, apiKey, secret, params }) => new PlugNmeet(url, apiKey, secret).getJoinToken(params));
