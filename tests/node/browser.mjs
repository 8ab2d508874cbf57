// Walks through pages in Debian's Chromium and reports after each step what the page, the address bar, the cookies and
// the network look like. The steps are the test's: this file knows nothing of plugNmeet.
//
// In:  {steps, args?}; "args" are further command line switches of Chromium. Any certificate will do, but Chromium
//      caches nothing that came under one it merely puts up with; a test of caching vouches for the public key with
//      "--ignore-certificate-errors-spki-list=BASE64_SHA256".
//      A step names its tab, one action, and what to wait for after it: {tab: 1, goto: url, until?: script}. Actions:
//        goto: url | reload: true | back: true | run: script (a promise is awaited, its value reported)
//      Tabs are numbered from 1 in the order in which they open, those that a page opens by itself included.
// Out: {browser, snapshots: [for each step what `snapshot` and `take` put together]}.
//      What a page asks for counts to the step in which it asks; an idle tab's doings to that tab's next step.

import { chromium } from "playwright-core";
import { drive, message } from "./driver.mjs";

const SWITCHES = [
  "--no-sandbox", // root has no other way
  "--disable-gpu",
  "--disable-quic",
  // Nothing of the browser's own may reach for the network, or appear among what a page did.
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const PATIENCE_MS = 20_000;

const ACTIONS = {
  goto: (page, url) => page.goto(url, { timeout: PATIENCE_MS }),
  reload: (page) => page.reload({ timeout: PATIENCE_MS }),
  back: (page) => page.goBack({ timeout: PATIENCE_MS }),
  run: (page, script) => page.evaluate(script),
};

await drive(80, async ({ steps, args = [] }) => {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: [...SWITCHES, ...args] });
  try {
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    const seen = { tabs: [], requests: [] };
    context.on("page", (page) => seen.tabs.push(watched(page)));
    // Of the context, not of each page: the first request of a tab that a page opens comes before that tab is known.
    context.on("request", (request) => seen.requests.push(request));
    const snapshots = [];
    for (const step of steps) snapshots.push(await take(step, context, seen));
    return { browser: browser.version(), snapshots };
  } finally {
    await browser.close();
  }
});

async function take(step, context, seen) {
  while (seen.tabs.length < step.tab) await context.newPage();
  const tab = seen.tabs[step.tab - 1];
  const action = Object.keys(ACTIONS).find((name) => name in step);
  if (!action) throw new Error(`no action in step ${JSON.stringify(step)}`);
  let value = null;
  let error = null;
  try {
    const outcome = await ACTIONS[action](tab.page, step[action]);
    if (action === "run") value = outcome ?? null;
    if (step.until) await tab.page.waitForFunction(step.until, null, { timeout: PATIENCE_MS });
  } catch (failure) {
    error = firstLine(failure);
  }
  // Scripts and pictures that come after "load"; a page that never rests is looked at as it is.
  await tab.page.waitForLoadState("networkidle", { timeout: 5_000 }).catch(() => {});
  const requests = requestsOf(tab.page, seen);
  return { ...(await snapshot(step, tab, context)), requests: await Promise.all(requests.map(requestSeen)), value, error };
}

function requestsOf(page, seen) {
  const mine = (request) => request.serviceWorker() !== null || pageOf(request) === page;
  const requests = seen.requests.filter(mine);
  seen.requests = seen.requests.filter((request) => !mine(request));
  return requests;
}

function pageOf(request) {
  try {
    return request.frame().page();
  } catch {
    return null; // a tab that is just opening: known by the time of its own first step
  }
}

function watched(page) {
  const tab = { page, sockets: [], console: [] };
  page.on("websocket", (socket) => tab.sockets.push(socket.url()));
  page.on("console", (line) => tab.console.push(`${line.type()}: ${line.text()}`));
  page.on("pageerror", (error) => tab.console.push(`uncaught: ${message(error)}`));
  return tab;
}

async function snapshot(step, tab, context) {
  const { page } = tab;
  const inPage = (script) => page.evaluate(script).catch((failure) => ({ error: firstLine(failure) }));
  return {
    tab: step.tab,
    tabs: context.pages().length,
    url: page.url(),
    title: await inPage("document.title"),
    text: await inPage("document.body?.innerText ?? ''"),
    cookie: await inPage("document.cookie"),
    referrer: await inPage("document.referrer"),
    historyLength: await inPage("history.length"),
    cookies: await context.cookies(), // the whole jar, with each cookie's path, lifetime and flags
    frames: await Promise.all(page.frames().map(frameSeen)),
    sockets: tab.sockets.splice(0),
    console: tab.console.splice(0),
  };
}

async function frameSeen(frame) {
  const cookie = await frame.evaluate("document.cookie").catch(() => null); // a sandboxed frame may not say
  return { url: frame.url(), cookie };
}

async function requestSeen(request) {
  const response = await soon(request.response());
  return {
    method: request.method(),
    url: request.url(),
    type: request.resourceType(),
    headers: (await soon(request.allHeaders())) ?? request.headers(), // as sent; if never sent, as meant
    status: response?.status() ?? null,
    responseHeaders: response ? await soon(response.allHeaders()) : null,
    failure: request.failure()?.errorText ?? null,
  };
}

// A request may still be under way, or its page gone: null, then.
function soon(promise) {
  return Promise.race([promise.catch(() => null), new Promise((resolve) => setTimeout(resolve, 1_000, null))]);
}

// What follows it is the browser driver's own diary.
function firstLine(failure) {
  return message(failure).split("\n", 1)[0];
}
