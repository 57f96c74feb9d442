// The keys that there are: one list, over a page (?) and in Settings.
import { html } from "./modules/preact.js";
import { Button, Dialog } from "./ui.js";
import { t } from "./words.js";

export const keys = [["j k", "keys.move"], ["Enter", "keys.open"], ["r", "keys.release"], ["a", "keys.allow"], ["b", "keys.block"], ["x", "keys.pick"], ["n", "keys.rule"], ["Shift+J Shift+K", "keys.carry"],
    ["/", "keys.search"], ["Esc", "keys.close"], ["?", "keys.help"]];
// As it stands on the reader's keyboard.
const cap = (key) => key.split("+").map((one) => (one.length > 1 ? t(`key.${one}`) : one)).join("+");
export const Keys = () => html`<dl class="facts keys">${keys.map(([k, word]) => html`<dt>${k.split(" ").map((one) => html`<kbd>${cap(one)}</kbd> `)}</dt><dd>${t(word)}</dd>`)}</dl>`;
export const KeysOver = ({ onClose }) => html`<${Dialog} title=${t("settings.keys")} onClose=${onClose} actions=${html`<${Button} onClick=${onClose}>${t("close")}</${Button}>`}><${Keys} /></${Dialog}>`;
