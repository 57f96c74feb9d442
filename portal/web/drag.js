// Dragging the rows of a list by a handle, with mouse, pen or finger. Keys and buttons are the page's own: a handle is for pointers alone.
import { useEffect, useRef } from "./modules/preact.js";

const EDGE = 70, STEP = 14; // near the edge of the window the page scrolls along

// list: a ref on the list whose children are the rows; may(from, to): is that a place for it?; onDrop(from, to).
// Gives what a handle in row i needs. While it is dragged its row has the class "dragged", and the row that it would come to lie before or
// behind "drop-before" or "drop-behind".
export function useDrag(list, { may, onDrop }) {
    const now = useRef({}), held = useRef(null);

    now.current = { may, onDrop };
    const rows = () => [...(list.current?.children ?? [])];
    const clear = () => rows().forEach((row) => row.classList.remove("dragged", "drop-before", "drop-behind"));
    const stop = (drop) => {
        const h = held.current;

        if (!h) return;
        held.current = null;
        clearInterval(h.timer);
        removeEventListener("keydown", h.key, true);
        clear();
        if (drop && h.to !== h.from) now.current.onDrop(h.from, h.to);
    };
    const look = () => {
        const h = held.current, all = rows();
        if (h.y < EDGE) scrollBy(0, -STEP); else if (h.y > innerHeight - EDGE) scrollBy(0, STEP);
        let to = all.findIndex((row) => h.y < row.getBoundingClientRect().bottom);

        if (to < 0) to = all.length - 1;
        while (to !== h.from && !now.current.may(h.from, to)) to += to > h.from ? -1 : 1;
        if (to === h.to && all[h.from].classList.contains("dragged")) return;
        h.to = to;
        clear();
        all[h.from].classList.add("dragged");
        if (to !== h.from) all[to].classList.add(to < h.from ? "drop-before" : "drop-behind");
    };

    useEffect(() => () => stop(false), []);
    return (i) => ({
        onPointerDown: (e) => {
            if (e.button !== 0 || held.current) return;
            e.preventDefault();
            e.currentTarget.setPointerCapture(e.pointerId);
            const key = (k) => { if (k.key === "Escape") { k.preventDefault(); k.stopPropagation(); stop(false); } };
            held.current = { from: i, to: i, y: e.clientY, key, timer: setInterval(look, 40) };
            addEventListener("keydown", key, true);
        },
        onPointerMove: (e) => { if (held.current) { held.current.y = e.clientY; look(); } },
        onPointerUp: () => stop(true),
        onPointerCancel: () => stop(false),
        onLostPointerCapture: () => stop(false),
    });
}
