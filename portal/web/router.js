// Where we are is the address bar: every page, every search and every open message has a link of its own.
import { useLayoutEffect, useState } from "./modules/preact.js";

const watchers = new Set();
const tell = () => { for (const fn of watchers) fn(); };
addEventListener("popstate", tell);

export const here = () => ({ path: location.pathname, query: new URLSearchParams(location.search) });

export function go(path, { replace = false } = {}) {
    if (path === location.pathname + location.search) return;
    history[replace ? "replaceState" : "pushState"](null, "", path);
    tell();
}

export function useHere() {
    const [, again] = useState(0);

    // Before there is a picture: who sees a link may press it.
    useLayoutEffect(() => {
        const fn = () => again((n) => n + 1);
        watchers.add(fn);
        return () => watchers.delete(fn);
    }, []);
    return here();
}

// The same page with some of its query changed; null takes a parameter away.
export function withQuery(changes) {
    const { path, query } = here();

    for (const [name, value] of Object.entries(changes)) value === null || value === "" ? query.delete(name) : query.set(name, value);
    const text = query.toString();
    return path + (text ? `?${text}` : "");
}

// Links that open one of the things on this page: what is the same in all of them is worked out once.
export function opener() {
    const base = withQuery({ open: null });
    return (id) => `${base}${base.includes("?") ? "&" : "?"}open=${encodeURIComponent(id)}`;
}

// A plain click on a link of ours stays in the page; everything else is the browser's.
export function follow(event) {
    const a = event.target.closest?.("a[href]");

    if (!a || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (a.target || a.hasAttribute("download") || a.origin !== location.origin || a.pathname.startsWith("/api/")) return;
    event.preventDefault();
    go(a.pathname + a.search);
}
