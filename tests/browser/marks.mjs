// What a page says, and what of it is its own: the catalogues come to it with marks around every text of theirs, and what stands outside is somebody's
// name, a number or a date, or it is said in no reader's language.
import { readFileSync } from "node:fs";

import { root } from "../system/lib/index.mjs";

const OPEN = "⁅", CLOSE = "⁆";
const unmarked = (text) => text.replace(/⁅[^⁆]*⁆/g, " ").replace(/\s+/g, " ").trim();

// From here on the page gets its German with marks.
export async function mark(page) {
    for (const folder of ["words", "sentences", "symbols"])
        await page.route(`**/${folder}/de.js`, (route) => route.fulfill({
            contentType: "text/javascript",
            body: `${readFileSync(`${root}/portal/web/${folder}/de.js`, "utf8").replace("export default", "const plain =")}
                const mark = (text) => text.split(/(\\{\\w+\\})/).map((piece, i) => (i % 2 || !/\\p{L}/u.test(piece) ? piece : "${OPEN}" + piece + "${CLOSE}")).join("");
                export default Object.fromEntries(Object.entries(plain).map(([key, text]) => [key, typeof text === "object" ? Object.fromEntries(Object.entries(text).map(([form, one]) => [form, mark(one)])) : mark(text)]));`,
        }));
}

// Of a sentence: its words that are no text of the catalogues, and that `given` has not brought in.
export const foreign = (text, given) => [...unmarked(text).matchAll(/\p{L}[\p{L}\d]+/gu)].map(([word]) => word).filter((word) => !JSON.stringify(given).includes(word));

// Of a page: what is no text of the catalogues, no name (<bdi>, and where it stands again), date (<time>) or raw text, no address, program or setting, and not one of `names`.
export async function unsaid(page, names) {
    const { all: texts, theirs } = await page.evaluate(() => {
        const all = [], nodes = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);

        while (nodes.nextNode()) {
            const e = nodes.currentNode.parentElement;
            if (!e.closest("bdi, time, textarea, datalist, script, option[lang]") && e.getClientRects().length > 0) all.push([e.tagName.toLowerCase(), nodes.currentNode.data]);
        }
        for (const e of document.querySelectorAll("[aria-label], [title], [placeholder], [alt]"))
            for (const name of ["aria-label", "title", "placeholder", "alt"]) if (e.hasAttribute(name) && !(name === "title" && e.matches("time, :has(bdi)"))) all.push([`${e.tagName.toLowerCase()} ${name}`, e.getAttribute(name)]);
        return { all, theirs: [...document.querySelectorAll("bdi")].map((e) => e.textContent.trim()).filter(Boolean) };
    });
    // Dates and units come from the browser, in the language that it was asked for.
    const known = [...names, ...theirs.sort((a, b) => b.length - a.length), ...Array.from({ length: 12 }, (_, i) => new Date(2026, i, 1).toLocaleDateString("de", { month: "long" })), ...Array.from({ length: 7 }, (_, i) => new Date(2026, 10, 2 + i).toLocaleDateString("de", { weekday: "long" }))];
    const left = ([where, text]) => [where, known.reduce((rest, name) => rest.replaceAll(name, " "), unmarked(text).replace(/[\w.+-]*@[\w.-]+|postern-\w+|\[\w+\] \w+/g, " ")).replace(/\b(um|Byte|kB|MB|GB)\b/g, " ")];

    return [...new Set(texts.map(left).filter(([, text]) => /\p{L}{2}/u.test(text)).map(([where, text]) => `${where}: ${text.trim()}`))];
}
