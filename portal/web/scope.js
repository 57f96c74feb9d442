// Whose rules or settings a page is about: all, a domain, or one mailbox of it. It is in the address, as ?in=.
import { html } from "./modules/preact.js";
import { segment } from "./api.js";
import { all } from "./lists.js";
import { go, withQuery } from "./router.js";
import { useLoad } from "./ui.js";
import { t } from "./words.js";

export const domainOf = (scope) => (scope === "global" ? null : scope.startsWith("mailbox:") ? scope.slice(scope.lastIndexOf("@") + 1) : scope.slice(7));
const pick = (e) => go(withQuery({ in: e.target.value, open: null }));

// One mailbox of the domain, or the whole of it; whose domain it is not has their own mailboxes.
function Mailbox({ domain, scope, own }) {
    const boxes = useLoad((signal) => (own ? Promise.resolve({ items: own }) : all(`/domains/${segment(domain)}/mailboxes`, signal)), [domain]), items = boxes.value?.items ?? [];
    const here = scope.startsWith("mailbox:") ? scope.slice(8) : "";

    return html`<label><span class="unseen">${t("policy.mailbox")}</span><select value=${scope} onChange=${pick}>
        ${!own && html`<option value=${`domain:${domain}`}>${t("scope.domain", { name: domain })}</option>`}${here && !items.some((m) => m.address === here) && html`<option value=${scope}>${here}</option>`}${items.map((m) => html`<option value=${`mailbox:${m.address}`}>${m.address}</option>`)}</select></label>`;
}

// domains: those whose every mailbox is to be had. own: the person's mailboxes, which may be of others. everywhere: is there a place above them?
export function Scope({ scope, domains, own, everywhere }) {
    const domain = domainOf(scope), names = [...new Set([...domains, ...own.map((m) => domainOf(`mailbox:${m.address}`)), ...(domain && everywhere ? [domain] : [])])];
    const mine = (name) => own.filter((m) => m.address.endsWith(`@${name}`)), whole = (name) => everywhere || domains.includes(name);
    const lead = (name) => (whole(name) ? `domain:${name}` : `mailbox:${mine(name)[0].address}`);

    return html`${(everywhere || names.length > 1) && html`<label><span class="unseen">${t("policy.scope")}</span><select value=${domain && names.includes(domain) ? lead(domain) : "global"} onChange=${pick}>${everywhere && html`<option value="global">${t("people.global")}</option>`}${names.map((n) => html`<option value=${lead(n)}>${n}</option>`)}</select></label>`}
        ${domain && html`<${Mailbox} key=${domain} domain=${domain} scope=${scope} own=${whole(domain) ? undefined : mine(domain)} />`}`;
}
