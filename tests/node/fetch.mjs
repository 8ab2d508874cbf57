// Asks for one address over HTTPS and undoes the content coding of the answer with Node's own decoders.
//
// In:  {url, headers}
// Out: {status, headers, coded: bytes that came, plain: bytes they make, sha256: of these}

import { request } from "node:https";
import { buffer } from "node:stream/consumers";
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import { createHash } from "node:crypto";
import { drive } from "./driver.mjs";

const DECODERS = { br: brotliDecompressSync, gzip: gunzipSync, zstd: zstdDecompressSync };

await drive(600, async ({ url, headers }) => {
  const answer = await new Promise((resolve, reject) =>
    request(url, { headers }, resolve).on("error", reject).end(),
  );
  const coded = await buffer(answer);
  const coding = answer.headers["content-encoding"];
  const plain = coding ? DECODERS[coding](coded) : coded;
  return {
    status: answer.statusCode,
    headers: answer.headers,
    coded: coded.length,
    plain: plain.length,
    sha256: createHash("sha256").update(plain).digest("hex"),
  };
});
