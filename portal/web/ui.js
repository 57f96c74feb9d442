// The pieces that pages are built from. What a stranger wrote goes in as text, isolated (<bdi>), never as markup.
import { html, useEffect, useLayoutEffect, useRef, useState } from "./modules/preact.js";
import { go } from "./router.js";
import { ago, moment, t, when, whenExactly } from "./words.js";

// ---- icons: drawn here, so that nothing is loaded for them ----

const paths = {
    received: "M3 7l9 6 9-6M3 6h18v12H3z", queued: "M12 7v5l3 2M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z", delivered: "M4 12.5l5 5L20 6.5",
    spam: "M12 8v5M12 16.5v.01M12 3l9.5 17h-19z", quarantined: "M6 11V8a6 6 0 0 1 12 0v3M5 11h14v9H5z", blocked: "M5.6 5.6l12.8 12.8M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
    rejected: "M6 6l12 12M18 6L6 18", mail: "M3 7l9 6 9-6M3 6h18v12H3z", shield: "M12 3l8 3v6c0 4.5-3.2 7.8-8 9-4.8-1.2-8-4.5-8-9V6z", rules: "M4 6h10M18 6h2M4 12h4M12 12h8M4 18h12M20 18h0M14 4v4M8 10v4M16 16v4",
    policies: "M3 20h18M6 20v-6M10 20V9M14 20v-9M18 20V5",
    people: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20c.6-3.6 3.2-5.5 6.5-5.5s5.9 1.9 6.5 5.5M16 4.5a3.3 3.3 0 0 1 0 6.3M18 14.8c2 .8 3.2 2.5 3.6 5.2", settings: "M12 8.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7zM12 2.5v3M12 18.5v3M2.5 12h3M18.5 12h3M5.3 5.3l2.1 2.1M16.6 16.6l2.1 2.1M5.3 18.7l2.1-2.1M16.6 7.4l2.1-2.1", search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5L21 21", close: "M6 6l12 12M18 6L6 18", menu: "M4 7h16M4 12h16M4 17h16", clip: "M20 11l-8.5 8.5a5 5 0 0 1-7-7L13 4a3.3 3.3 0 0 1 4.7 4.7l-8.5 8.5a1.6 1.6 0 0 1-2.3-2.3L15 7",
    overview: "M4 13h6V4H4zM14 20h6v-9h-6zM4 20h6v-4H4zM14 8h6V4h-6z", log: "M5 4h14v16H5zM8.5 8.5h7M8.5 12h7M8.5 15.5h4", next: "M9 5l7 7-7 7", grip: "M9 6v.01M15 6v.01M9 12v.01M15 12v.01M9 18v.01M15 18v.01", out: "M10 4H5v16h5M15 8l4 4-4 4M19 12H9",
};
export const Icon = ({ name, label }) => html`<svg class="icon" viewBox="0 0 24 24" width="18" height="18" role=${label ? "img" : undefined} aria-label=${label} aria-hidden=${label ? undefined : "true"}><path d=${paths[name] ?? paths.mail} /></svg>`;

// ---- small things ----

export const Chip = ({ status }) => html`<span class="chip chip-${status}"><${Icon} name=${status} />${t(`status.${status}`)}</span>`;
export const Time = ({ at }) => at ? html`<time datetime=${at} title=${moment(at)}>${when(at)}</time>` : null;
// The hour is said of every day.
export const Moment = ({ at }) => html`<time datetime=${at} title=${moment(at)}>${whenExactly(at)}</time>`;
export const Ago = ({ at }) => at ? html`<time datetime=${at} title=${moment(at)}>${ago(at)}</time>` : null;
export const Their = ({ text, or }) => text ? html`<bdi>${text}</bdi>` : html`<span class="quiet">${or ?? "—"}</span>`;

// A browser takes the focus from what is disabled: who pressed it has it again when it is not busy any more.
export function Button({ kind = "", busy, icon, children, ...rest }) {
    const ref = useRef(), had = useRef(false);

    if (busy && document.activeElement === ref.current) had.current = true;
    useLayoutEffect(() => {
        if (busy) return;
        if (had.current && document.activeElement === document.body) ref.current.focus({ preventScroll: true });
        had.current = false;
    }, [busy]);
    return html`<button ref=${ref} type="button" class="button ${kind}" aria-busy=${busy ? "true" : undefined} disabled=${busy || rest.disabled} ...${rest}>
        ${icon && html`<${Icon} name=${icon} />`}<span>${children}</span></button>`;
}

// A label, its field, what is wrong with it. The field is named by the label and described by the rest.
let fields = 0;
export function Field({ label, hint, problem, children, ...input }) {
    const [id] = useState(() => `field-${++fields}`);
    const described = [hint && `${id}-hint`, problem && `${id}-problem`].filter(Boolean).join(" ") || undefined;

    return html`<div class="field">
        <label for=${id}>${label}</label>
        ${children ? children({ id, "aria-describedby": described }) : html`<input id=${id} aria-describedby=${described} aria-invalid=${problem ? "true" : undefined} ...${input} />`}
        ${hint && html`<p class="hint" id="${id}-hint">${hint}</p>`}
        ${problem && html`<p class="problem" id="${id}-problem" role="alert">${problem}</p>`}
    </div>`;
}

// ---- states of a page: each says what is, and what one can do ----

// top: it is all that the page has, and its heading the page's.
export const Empty = ({ title, children, action, top }) => html`<div class="empty"><${top ? "h1" : "h2"}>${title}</${top ? "h1" : "h2"}>${children && html`<p>${children}</p>`}${action}</div>`;
export const Waiting = ({ rows = 8 }) => html`<div class="waiting" role="status"><span class="unseen">${t("loading")}</span>${Array.from({ length: rows }, () => html`<div class="bone"></div>`)}</div>`;

export function Failed({ problem, again, top }) {
    const [title, text] = problem.offline ? [t("offline.title"), t("offline.text")]
        : problem.status === 403 ? [t("forbidden.title"), problem.message] : problem.status === 404 ? [t("missing.title"), t("missing.text")] : [problem.title || t("failed.title"), problem.message];

    return html`<div class="empty" role="alert"><${top ? "h1" : "h2"}>${title}</${top ? "h1" : "h2"}><p>${text}</p>${again && html`<${Button} onClick=${again}>${t("again")}</${Button}>`}</div>`;
}

// Loads when its inputs change; keeps showing what was there until the new is. It is asked for before that is painted: `loading` is
// never a picture late.
export function useLoad(load, inputs) {
    const [state, set] = useState({ loading: true });
    const [count, again] = useState(0);

    useLayoutEffect(() => {
        const stop = new AbortController();

        set((s) => (s.loading && !s.problem ? s : { ...s, loading: true, problem: undefined }));
        load(stop.signal).then((value) => set({ value, loading: false }), (problem) => {
            if (problem.name !== "AbortError") set((s) => ({ value: s.value, problem, loading: false }));
        });
        return () => stop.abort();
    }, [...inputs, count]);
    return { ...state, again: () => again((n) => n + 1), set: (value) => set((s) => ({ value: typeof value === "function" ? value(s.value) : value, loading: false })) };
}

// Whether that is so for longer than goes unnoticed: what stands there meanwhile is then seen not to be the answer.
const LATE_MS = 250;
export function useLate(so, after = LATE_MS) {
    const [late, set] = useState(false);

    useEffect(() => {
        const timer = so ? setTimeout(set, after, true) : 0;
        return () => { clearTimeout(timer); set(false); };
    }, [so]);
    return late && so;
}

// ---- dialogs, notes, the drawer ----

const traps = []; // what is open, the last to open at the end
// Focus stays inside while it is open, and goes back where it was. It comes in before there is a picture of it: who sees it may press
// a key. A key that nobody gets, since what had the focus is gone or busy, is for what opened last.
export function useTrap(ref, onClose) {
    useLayoutEffect(() => {
        const before = document.activeElement, node = ref.current;
        const inside = () => [...node.querySelectorAll("a[href],button:not([disabled]),input,select,textarea,summary,[tabindex='0']")].filter((e) => e.offsetParent !== null);
        const key = (event) => {
            if (event.key === "Escape") { event.stopPropagation(); onClose(); return; }
            if (event.key !== "Tab") return;
            const all = inside(), [edge, other] = event.shiftKey ? [all[0], all.at(-1)] : [all.at(-1), all[0]];
            const astray = node.getAttribute("aria-modal") === "true" && !node.contains(document.activeElement);
            if (astray || document.activeElement === edge) { event.preventDefault(); other?.focus(); }
        };
        const stray = (event) => { if (event.target === document.body && traps.at(-1) === node) key(event); };

        traps.push(node);
        node.addEventListener("keydown", key);
        document.addEventListener("keydown", stray);
        (node.querySelector("[autofocus]") ?? node).focus();
        return () => {
            traps.splice(traps.indexOf(node), 1);
            node.removeEventListener("keydown", key);
            document.removeEventListener("keydown", stray);
            before?.focus?.();
        };
    }, []);
}

export function Dialog({ title, onClose, children, actions }) {
    const ref = useRef();

    useTrap(ref, onClose);
    return html`<div class="veil" onClick=${(e) => e.target === e.currentTarget && onClose()}>
        <div class="dialog" role="dialog" aria-modal="true" aria-labelledby="dialog-title" tabindex="-1" ref=${ref}>
            <h2 id="dialog-title">${title}</h2><div class="dialog-body">${children}</div><div class="actions">${actions}</div>
        </div></div>`;
}

let say = () => {};
// A note at the edge of the page, read aloud; with an undo where there is one.
export const note = (text, undo) => say({ text, undo, id: Date.now() });
export function Notes() {
    const [one, set] = useState(null);

    say = set;
    useEffect(() => {
        if (!one) return;
        const timer = setTimeout(() => set(null), one.undo ? 10000 : 5000);
        return () => clearTimeout(timer);
    }, [one]);
    return html`<div class="notes" role="status" aria-live="polite">${one && html`<div class="note">${one.text}
        ${one.undo && html`<button type="button" onClick=${() => { one.undo(); set(null); }}>${t("undo")}</button>`}</div>`}</div>`;
}

// ---- keys ----

// { j: fn, … } for the whole page, but not while somebody types, nor for what is behind a dialog.
export function useKeys(keys) {
    const now = useRef(keys);

    now.current = keys;
    // At once, not behind the next picture: who sees a button may press its key.
    useLayoutEffect(() => {
        const on = (event) => {
            if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input,textarea,select,[contenteditable]")) return;
            if (event.key !== "Escape" && document.querySelector("[aria-modal='true']")) return;
            const fn = now.current[event.key];
            if (fn) { event.preventDefault(); fn(event); }
        };
        addEventListener("keydown", on);
        return () => removeEventListener("keydown", on);
    }, []);
}

// The tab that is open is to be seen, where there is no room for all.
export function Tabs({ tabs, current, onPick, label }) {
    const ref = useRef();

    useEffect(() => {
        const list = ref.current, tab = list.querySelector("[aria-selected='true']"), end = tab ? tab.offsetLeft + tab.offsetWidth : 0;
        if (tab && (tab.offsetLeft < list.scrollLeft || end > list.scrollLeft + list.clientWidth)) list.scrollLeft = tab.offsetLeft - 24;
    }, [current]);
    return html`<div class="tabs" role="tablist" aria-label=${label} ref=${ref}>
    ${tabs.map(([id, text], i) => html`<button type="button" role="tab" id="tab-${id}" aria-selected=${id === current} tabindex=${id === current ? 0 : -1} onClick=${() => onPick(id)}
        onKeyDown=${(e) => {
            const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
            if (!step) return;
            const next = tabs[(i + step + tabs.length) % tabs.length][0];
            onPick(next);
            e.currentTarget.parentNode.querySelector(`#tab-${next}`)?.focus();
        }}>${text}</button>`)}</div>`;
}

export const Link = ({ to, children, ...rest }) => html`<a href=${to} ...${rest} onClick=${(e) => { if (!e.metaKey && !e.ctrlKey && !e.shiftKey) { e.preventDefault(); go(to); } }}>${children}</a>`;
