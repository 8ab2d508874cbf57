// What every driver shares: one JSON object in, from the file that the only argument names, JSON lines out on stdout, and an end in any case.
//
// A driver reports what it saw, good or bad, and leaves the judging to the test. Exit code 0 says that the report is
// whole; anything else that the driver itself broke, with the reason on stderr.

import dns from "node:dns";
import { readFileSync } from "node:fs";

// The gateway is at an address of its own, and its certificate is for localhost.
const { LOCALHOST } = process.env;
if (LOCALHOST) {
  const { lookup } = dns;
  dns.lookup = (name, ...rest) => lookup(name === "localhost" ? LOCALHOST : name, ...rest);
}

// Libraries write about their troubles on the console; stdout is for the report.
console.log = console.error;

export const tell = (line) => process.stdout.write(JSON.stringify(line) + "\n");

export const message = (error) => String(error?.message ?? error);

export async function drive(secondsAllowed, job) {
  // Runs out before the test's own patience, so that the reason on stderr is the driver's.
  // Not unref'd: a promise that nothing settles any more would otherwise let Node leave without a word.
  setTimeout(() => end(2, `not finished within ${secondsAllowed} s`), secondsAllowed * 1000);
  try {
    tell(await job(JSON.parse(readFileSync(process.argv[2], "utf8"))));
    end(0);
  } catch (error) {
    end(1, error?.stack ?? error);
  }
}

function end(code, reason) {
  if (reason) process.stderr.write(`${reason}\n`);
  // Stdout is a pipe here, and leaving before it took everything would cut a long report short.
  process.stdout.write("", () => process.exit(code));
}
