// Word that mail has come, or that something has become of it: one stream a browser, held by one of its tabs and passed on to the others, and none while no tab is to be seen.
import { useEffect, useRef } from "./modules/preact.js";
import { Problem } from "./api.js";

const NAME = "mail-live", AGAIN = 30_000;
const listeners = new Set();
const channel = globalThis.BroadcastChannel ? new BroadcastChannel(NAME) : null;
let turn = null; // ours: from asking for it until it has ended

const tell = () => { for (const fn of listeners) fn(); };
if (channel) channel.onmessage = tell;

// Ends when we are asked to, or when the server wants no more of it.
const listen = (signal) => new Promise((done) => {
    const source = new EventSource("/api/v1/me/events");
    const heard = () => { tell(); channel?.postMessage(""); };
    const end = () => { source.close(); done(); };

    for (const what of ["mail", "changed"]) source.addEventListener(what, heard);
    source.addEventListener("ready", heard);
    source.addEventListener("error", () => { if (source.readyState === EventSource.CLOSED) end(); });
    if (signal.aborted) end();
    else signal.addEventListener("abort", end);
});

function look() {
    const wanted = listeners.size > 0 && !document.hidden;

    if (!wanted) { turn?.abort(); turn = null; return; }
    if (turn) return;
    const own = turn = new AbortController();
    // Where a page has no locks (over plain http), each tab that is to be seen has a stream of its own.
    const held = navigator.locks ? navigator.locks.request(NAME, { signal: own.signal }, () => listen(own.signal)) : listen(own.signal);
    held.catch(() => {}).then(() => { if (turn === own) setTimeout(() => { if (turn === own) { turn = null; look(); } }, AGAIN); });
}
// What came while nobody looked here was told to others alone.
document.addEventListener("visibilitychange", () => { look(); if (!document.hidden) tell(); });

// A server that could not answer just now may do so the next time; what it refuses it refuses.
function mayAnswer(problem) {
    if (!(problem instanceof Problem)) throw problem;
    return problem.status === 429 || problem.status >= 500;
}

// Calls fn when mail may have come or changed: at most every two seconds, and never while nobody looks. Who cannot look now (false, or a Problem of
// the server's) is called again.
export function useLive(fn) {
    const now = useRef(fn);

    now.current = fn;
    useEffect(() => {
        let last = 0, timer = 0, gone = false;
        const ask = async () => {
            timer = 0;
            last = Date.now();
            if (await now.current().then((done) => done === false, mayAnswer)) on();
        };
        const on = () => {
            if (timer || gone || document.hidden) return;
            timer = setTimeout(ask, Math.max(0, last + 2000 - Date.now()));
        };

        listeners.add(on);
        look();
        return () => { gone = true; listeners.delete(on); clearTimeout(timer); look(); };
    }, []);
}
