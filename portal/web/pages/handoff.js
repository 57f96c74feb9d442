// Handed over by an operator's dashboard: who goes on here, asked before it is so, unless this browser began it here itself.
import { html, useEffect, useState } from "../modules/preact.js";
import { get, post } from "../api.js";
import { Button, useLoad, Waiting } from "../ui.js";
import { t } from "../words.js";
import { Door } from "./signin.js";

const home = () => location.assign("/");
const words = (p) => (p.offline ? t("offline.text") : p.message);
const lead = (v) => [v.over && t("handoff.over", { who: v.over }), v.staff_name ? t("handoff.staff", { who: v.staff_name, whom: v.login }) : t("handoff.self", { who: v.login })].filter(Boolean).join(" ");

export function HandOff({ brand }) {
    const { value, problem } = useLoad((signal) => get("/handoffs/pending", {}, { signal, quiet: true }), []);
    const [busy, setBusy] = useState(false);
    const [wrong, setWrong] = useState();
    const enter = async (confirm) => {
        setBusy(true);
        try { location.replace((await post("/handoffs/use", { confirm }, { key: false, quiet: true })).to); }
        catch (p) { setWrong(p); setBusy(false); }
    };

    useEffect(() => { if (value && !value.ask) enter(false); }, [value]);
    if (problem || wrong) return html`<${Door} brand=${brand} title=${t("handoff.gone")} lead=${words(problem ?? wrong)}><${Button} onClick=${home}>${t("handoff.home")}</${Button}></${Door}>`;
    if (!value || !value.ask) return html`<${Door} brand=${brand} title=${t("handoff.title")}><${Waiting} rows=${2} /></${Door}>`;
    return html`<${Door} brand=${brand} title=${t("handoff.title")}><p class="lead"><bdi>${lead(value)}</bdi></p>
        <div class="actions"><${Button} kind="primary" busy=${busy} onClick=${() => enter(true)}>${t("handoff.go")}</${Button}><${Button} onClick=${home}>${t("cancel")}</${Button}></div>
    </${Door}>`;
}
