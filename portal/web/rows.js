// Rows of messages. Each is made anew when it is another row, or another day, or looks or leads elsewhere: a key in the search box, a row
// that was picked, mail that came are for the page, not for all that stands on it.
import { html, useMemo } from "./modules/preact.js";
import { Icon } from "./ui.js";
import { t, today } from "./words.js";

export const idOf = (row) => `${row.uid}/${row.n}`;

// That it has attachments, in front of the subject.
export const Clip = ({ row }) => row.attached && html`<span class="clip"><${Icon} name="clip" label=${t("attached")} /></span>`;

const Kept = ({ line, row, href, to, current, picked, day }) => useMemo(() => line({ row, href, to, current, picked }), [line, row, href, to, current, picked, day]);

// line: one function for all times that makes the <li> of a row, with a link a.row whose data-id is the row's, and, where rows are picked
// (a set of ids), a box, or where one thing can be done with each a button, whose data-pick is.
export function Rows({ rows, line, to, open, hrefs, picked, busy, late, onOpen, onPick }) {
    const day = today(), of = (id) => rows.find((row) => idOf(row) === id);
    const press = (e) => {
        const button = e.target.closest("button[data-pick]");
        if (button) { onPick(of(button.dataset.pick)); return; }
        const row = of(e.target.closest("a.row")?.dataset.id);
        if (row && !e.metaKey && !e.ctrlKey) { e.preventDefault(); onOpen(row); }
    };
    const pick = (e) => { const row = of(e.target.dataset.pick); if (row) onPick(row); };

    return html`<ul class="rows ${late ? "late" : ""}" aria-busy=${busy} onClick=${press} onChange=${pick}>${rows.map((row) => html`
        <${Kept} key=${idOf(row)} line=${line} row=${row} to=${to} href=${hrefs(idOf(row))} current=${idOf(row) === open} picked=${picked?.has(idOf(row))} day=${day} />`)}</ul>`;
}
