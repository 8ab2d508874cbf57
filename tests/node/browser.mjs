// Walks through pages in Debian's Chromium and reports after each step what the page, the address bar, the cookies and
// the network look like. The steps are the test's: this file knows nothing of plugNmeet.
//
// In:  {profile, args?, preferences?}: the folder of the browser's profile, further command line switches of Chromium,
//      and what its settings page would have written, as {"profile.cookie_controls_mode": 1}. Any certificate will do, but
//      Chromium caches nothing that came under one it merely puts up with; a test of caching vouches for the public key
//      with "--ignore-certificate-errors-spki-list=BASE64_SHA256".
//      Then a step a line on stdin, until its end. A step names its tab, one action, and what to wait for before and
//      after it: {tab: 1, once?: script, goto: url, until?: script}. Actions:
//        goto: url | reload: true | back: true | click: selector | run: script (a promise is awaited, its value reported)
//      With "compiled", the value is for each module that the page had compiled, by its address, whether its code was
//      still there from an earlier visit.
//      With "frame", a number from 1 in the order in which frames came into the tab, all but goto and back happen in it.
//      Tabs are numbered from 1 in the order in which they open, those that a page opens by itself included. A tab that is
//      not there is opened by goto alone; every other action waits for a page to open it.
// Out: a line for each step, as `take` and `snapshot` put it together; at the end one with the browser's version.
//      What a page asks for counts to the step in which it asks; an idle tab's doings to that tab's next step.

import { mkdirSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";
import { drive, message, tell } from "./driver.mjs";

const SWITCHES = [
  "--no-sandbox", // root has no other way
  "--disable-gpu",
  "--disable-quic",
  // Nothing of the browser's own may reach for the network, or appear among what a page did.
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // A frame that changes processes twice in a moment is sometimes lost to the browser's driver.
  "--disable-features=IsolateOrigins,site-per-process",
  "--disable-site-isolation-trials",
];
const PATIENCE_MS = 60_000;
// For what may never come.
const A_WHILE_MS = 10_000;
const GLANCE_MS = 3_000;
const WHOLE_STORY_S = 900;

// The target is a tab's page, or a frame in it.
const ACTIONS = {
  // With something to wait for, the page is left to lead on before it has loaded: that would be the end of a wait for it.
  goto: (page, url, until) => page.goto(url, { timeout: PATIENCE_MS, waitUntil: until ? "commit" : "load" }),
  reload: (target) => (target.reload ? target.reload({ timeout: PATIENCE_MS }) : reloadFrame(target)),
  back: (page) => page.goBack({ timeout: PATIENCE_MS }),
  click: (target, selector) => target.click(selector, { timeout: PATIENCE_MS }),
  run: (target, script) => within(PATIENCE_MS, target.evaluate(script)),
};

await drive(WHOLE_STORY_S, async ({ profile, args = [], preferences = {} }) => {
  mkdirSync(`${profile}/Default`, { recursive: true });
  writeFileSync(`${profile}/Default/Preferences`, JSON.stringify(nested(preferences)));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: "/usr/bin/chromium",
    ignoreHTTPSErrors: !args.some((arg) => arg.startsWith("--ignore-certificate-errors-spki-list")),
    viewport: null,
    args: [...SWITCHES, ...args],
  });
  try {
    const seen = { tabs: context.pages().map(watched), requests: [] };
    context.on("page", (page) => seen.tabs.push(watched(page)));
    // Of the context, not of each page: the first request of a tab that a page opens comes before that tab is known.
    context.on("request", (request) => seen.requests.push(request));
    for await (const line of createInterface({ input: process.stdin })) {
      tell(await within(4 * PATIENCE_MS, take(JSON.parse(line), context, seen), line));
    }
    return { browser: context.browser()?.version() ?? null };
  } finally {
    await context.close();
  }
});

async function take(step, context, seen) {
  const action = Object.keys(ACTIONS).find((name) => name in step);
  if (!action) throw new Error(`no action in step ${JSON.stringify(step)}`);
  while (action === "goto" && seen.tabs.length < step.tab) await context.newPage();
  const tab = await there(`tab ${step.tab}`, () => seen.tabs[step.tab - 1]);
  let value = null;
  let error = null;
  const compiled = step.compiled ? await compilerOf(tab.page) : null;
  try {
    const target = step.frame ? await there(`frame ${step.frame}`, () => tab.page.frames()[step.frame]) : tab.page;
    if (step.once) await become(target, step.once);
    const outcome = await ACTIONS[action](target, step[action], step.until);
    if (action === "run") value = outcome ?? null;
    if (step.until) await become(target, step.until);
  } catch (failure) {
    error = firstLine(failure);
  }
  // Scripts and pictures that come after "load"; a page that never rests is looked at as it is.
  await tab.page.waitForLoadState("networkidle", { timeout: A_WHILE_MS }).catch(() => {});
  const requests = requestsOf(tab.page, seen);
  if (compiled) value = await compiled();
  return { ...(await snapshot(step, tab, context)), requests: await Promise.all(requests.map(requestSeen)), value, error };
}

// Asked from outside: the page's policy may allow no "eval", and a tab in the background paints no frames to wait for.
function become(target, condition) {
  // A page that is just leaving has no answer, or never gives one.
  return there(condition, () => soon(target.evaluate(condition), GLANCE_MS));
}

async function there(name, look) {
  for (const deadline = Date.now() + PATIENCE_MS; ; ) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`never there: ${name}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function reloadFrame(frame) {
  const gone = soon(frame.evaluate("location.reload()"), GLANCE_MS);
  return Promise.all([frame.waitForNavigation({ timeout: PATIENCE_MS }), gone]);
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
  const inPage = (script) => within(A_WHILE_MS, page.evaluate(script)).catch((failure) => ({ error: firstLine(failure) }));
  return {
    tab: step.tab,
    tabs: context.pages().length,
    url: page.url(),
    title: await inPage("document.title"),
    text: await inPage("document.body?.innerText ?? ''"),
    cookie: await inPage("document.cookie"),
    referrer: await inPage("document.referrer"),
    history: await historyOf(page),
    cookies: await context.cookies(), // the whole jar, with each cookie's path, lifetime and flags
    frames: await Promise.all(page.frames().map(frameSeen)),
    sockets: tab.sockets.splice(0),
    console: tab.console.splice(0),
  };
}

// Watches a page's compiler until its answer is asked for.
async function compilerOf(page) {
  const session = await page.context().newCDPSession(page);
  const events = [];
  session.on("Tracing.dataCollected", ({ value }) => events.push(...value));
  const traceConfig = { includedCategories: ["v8", "devtools.timeline"] };
  await session.send("Tracing.start", { transferMode: "ReportEvents", traceConfig });
  return async () => {
    const complete = new Promise((resolve) => session.once("Tracing.tracingComplete", resolve));
    await session.send("Tracing.end");
    await within(A_WHILE_MS, complete);
    await session.detach();
    const all = events.filter(({ name }) => name === "v8.compileModule").map(({ args }) => args.data);
    // The browser's own pages, which it may load at any time, are traced, too.
    const modules = all.filter(({ url }) => /^https?:/.test(url));
    return Object.fromEntries(modules.map(({ url, consumedCacheSize }) => [url, consumedCacheSize > 0]));
  };
}

// The addresses that the back button leads to, and where forward would.
async function historyOf(page) {
  const session = await page.context().newCDPSession(page);
  const { entries } = await session.send("Page.getNavigationHistory");
  await session.detach();
  return entries.map((entry) => entry.url);
}

// A sandboxed frame may not say what it stores, and one that leads nowhere has nothing to say.
async function frameSeen(frame) {
  const inFrame = (script) => soon(frame.evaluate(script));
  return {
    url: frame.url(),
    title: await inFrame("document.title"),
    text: await inFrame("document.body?.innerText ?? ''"),
    cookie: await inFrame("document.cookie"),
    referrer: await inFrame("document.referrer"),
    stored: await inFrame("JSON.stringify([{ ...localStorage }, { ...sessionStorage }])"),
    // The addresses of the page and of all that it loaded, as any script in it can read them.
    performance: await inFrame("performance.getEntries().map((entry) => entry.name)"),
  };
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
function soon(promise, ms = A_WHILE_MS) {
  return within(ms, promise).catch(() => null);
}

// The browser's driver waits without an end for a frame that is replaced while it is asked.
function within(ms, promise, what = "") {
  const late = new Promise((_, reject) => setTimeout(reject, ms, new Error(`no answer in ${ms} ms ${what}`)).unref());
  return Promise.race([promise, late]);
}

// {"a.b": 1} as {a: {b: 1}}.
function nested(preferences) {
  const whole = {};
  for (const [path, value] of Object.entries(preferences)) {
    const names = path.split(".");
    const last = names.pop();
    names.reduce((inner, name) => (inner[name] ??= {}), whole)[last] = value;
  }
  return whole;
}

// What follows it is the browser driver's own diary.
function firstLine(failure) {
  return message(failure).split("\n", 1)[0];
}
