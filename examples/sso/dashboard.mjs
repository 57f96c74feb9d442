// A dashboard that hands people over to Postern's portal: the least that does it, on Node alone. docs/sso.md tells the story.
//
//   postern token add dashboard sso --role owner --domain shop.example --from 127.0.0.0/8
//   PORTAL=https://mail.example KEY=pst_… PORT=8090 node dashboard.mjs
//
// Who sits in front of the browser a real dashboard knows from its own session; here it is picked on the page.
import { createServer } from "node:http";

const { PORTAL = "http://127.0.0.1:8080", KEY = "", PORT = "8090", DOMAIN = "shop.example", PEOPLE = "eva@shop.example" } = process.env;
const escape = (s) => String(s).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
// The only other place that a form of this dashboard may post to is the portal.
const page = (response, status, body) => response.writeHead(status, { "Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "Content-Security-Policy": `default-src 'none'; form-action 'self' ${PORTAL}; frame-ancestors 'none'` }).end(`<!DOCTYPE html><html lang="en"><title>Dashboard</title>${body}`);

const choice = (nonce) => `<h1>Dashboard</h1>${PEOPLE.split(",").map((login) => `
    <form method="post" action="/mail"><input type="hidden" name="nonce" value="${escape(nonce)}"><input type="hidden" name="login" value="${escape(login)}">
    <button name="kind" value="self">Mail of ${escape(login)}</button> <button name="kind" value="staff">Help ${escape(login)}</button></form>`).join("")}
    <p><a href="${escape(PORTAL)}/api/v1/handoff/start">Begin at the portal</a></p>`;

async function handOver(form) {
    const wish = { login: form.get("login"), domain: DOMAIN, kind: form.get("kind") === "staff" ? "staff" : "self" };
    if (wish.kind === "staff") wish.staff_name = "Sam of Support";
    if (form.get("nonce")) wish.nonce = form.get("nonce");
    const response = await fetch(`${PORTAL}/api/v1/handoffs`, { method: "POST", headers: { Authorization: `Bearer ${KEY}`, "Content-Type": "application/json" }, body: JSON.stringify(wish) });
    const answer = await response.json();

    if (!response.ok) throw new Error(answer.detail);
    return answer;
}

async function body(request) {
    const parts = [];
    for await (const part of request) { parts.push(part); if (parts.length > 100) throw new Error("too much"); }
    return new URLSearchParams(Buffer.concat(parts).toString());
}

createServer(async (request, response) => {
    const url = new URL(request.url, "http://dashboard");

    try {
        if (request.method === "GET" && url.pathname === "/") return page(response, 200, choice(url.searchParams.get("nonce") ?? ""));
        if (request.method !== "POST" || url.pathname !== "/mail") return page(response, 404, "<p>There is no such page.</p>");
        if ((request.headers["sec-fetch-site"] ?? "same-origin") !== "same-origin") return page(response, 403, "<p>That came from another site.</p>");
        const { token, post_to } = await handOver(await body(request));
        return page(response, 200, `<form method="post" action="${escape(post_to)}"><input type="hidden" name="token" value="${escape(token)}"><button autofocus>Go on to your mail</button></form>`);
    } catch (error) {
        return page(response, 502, `<p>${escape(error.message)}</p>`);
    }
}).listen(Number(PORT), "127.0.0.1", () => console.log(`dashboard at http://127.0.0.1:${PORT}/`));
