(() => {
const { lang, dir, dataset, previousElementSibling: line } = document.currentScript;
let region, timer, idle = 0, over = false;
const hide = () => { region?.remove(); region = undefined; };
const end = () => { over = true; clearTimeout(timer); asked.disconnect(); hide(); };
const asked = new PerformanceObserver((list) => {
if (list.getEntries().some(({ name }) => /\/api\/verifytoken\/?(\?|$)/i.test(name))) end();
});
const show = (before) => {
if (!region) {
region = document.createElement("p");
Object.assign(region, { lang, dir, role: "status", ariaLive: "polite" });
region.style.cssText = dataset.style;
document.body.append(region);
}
const words = dataset.words.replace("{n}", before);
setTimeout(() => { if (region && region.textContent !== words) region.textContent = words; }, 100);
};
const ask = async () => {
let waiting = null;
try {
const answer = await fetch(new URL("joining", location));
if (!answer.ok) return end();
({ waiting } = await answer.json());
} catch {}
if (over) return;
const soon = waiting && waiting.seconds < 10;
if (waiting && !soon) show(waiting.before); else hide();
idle = waiting ? 0 : idle + 1;
if (idle > 6) end(); else timer = setTimeout(ask, soon ? (10 - waiting.seconds) * 1000 : 10000);
};
asked.observe({ type: "resource", buffered: true });
new MutationObserver((_, watcher) => {
if (line.isConnected) return;
watcher.disconnect();
if (!over) timer = setTimeout(ask, 10000);
}).observe(line.parentNode, { childList: true });
})();
