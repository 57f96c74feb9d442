// What others save while a form is open, for all forms that write something as a whole: what I have not touched is as it is now, what I
// have typed stays, and what became different meanwhile is shown before anything is saved.
import { html, useEffect, useRef } from "./modules/preact.js";
import { Button } from "./ui.js";
import { t } from "./words.js";

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

// The names of what differs.
export const differing = (one, other) => [...new Set([...Object.keys(one), ...Object.keys(other)])].filter((name) => !same(one[name], other[name]));
// What was changed in a form.
export const touched = (was, mine) => Object.fromEntries(differing(was, mine).map((name) => [name, mine[name]]));
// Mine over what is there now; where nothing is there any more, mine.
export const over = (was, mine, now) => (Object.keys(now).length === 0 ? mine : { ...now, ...touched(was, mine) });

// from: { version, value } that the form was filled from. send(mine, version) writes it, load() gives both as they are now. The answer is
// { saved }, or { found: { was, now, mine } } when another was there: now as load() has it, mine over it, and nothing is saved.
// tells(was, now): is it anything that one would want to know? Else mine is saved over it at once.
export async function saveOver(from, mine, send, load, { merge = over, tells = () => true } = {}) {
    try {
        return { saved: await send(mine, from.version) };
    } catch (problem) {
        if (problem.status !== 412) throw problem;
        const now = await load(), merged = merge(from.value, mine, now.value);

        if (now.version === from.version) throw problem;
        return tells(from.value, now.value) ? { found: { was: from.value, now, mine: merged } } : saveOver(now, merged, send, load, { merge, tells });
    }
}

// rows: [what it is called, as it was, as it is now], of what others changed. children: the whole of it, in words.
export function Meanwhile({ rows = [], children, busy, onMine, onTheirs }) {
    const ref = useRef();

    useEffect(() => ref.current.scrollIntoView({ block: "nearest" }), [rows.length]);
    return html`<section class="asked meanwhile" role="alert" ref=${ref}><h3>${t("meanwhile.title")}</h3><p>${t("meanwhile.text")}</p>
        <dl class="facts">${children}${rows.map(([name, was, now]) => html`<dt>${name}</dt><dd><bdi>${now}</bdi>${was !== undefined && html` <span class="quiet">${t("meanwhile.was")} <bdi>${was}</bdi></span>`}</dd>`)}</dl>
        <div class="actions"><${Button} kind="primary" busy=${busy} onClick=${onMine}>${t("meanwhile.mine")}</${Button}><${Button} onClick=${onTheirs}>${t("meanwhile.theirs")}</${Button}></div></section>`;
}
