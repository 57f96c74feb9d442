// The one way to the server: every page goes through here, and through nothing but the public API.
import { learn, learnSymbols, ready, spoken, t } from "./words.js";

const base = "/api/v1";
let csrf = "";

const titles = [400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 429, 500, 503, 504, 507];

// What a server in front says, or HTTP itself before there is a call, is in nobody's language: we say it by its number.
const elsewhere = (status) => (status === 0 ? "" : status === 413 ? t("refused.large") : status >= 502 ? t("refused.away") : t("refused.other"));

// What went wrong, as the server says it (RFC 9457), as the network does, or in words of the page's own.
export class Problem extends Error {
    constructor(body, status) {
        super(body.detail_said ? spoken(body.detail, body.detail_said) : body.words ?? elsewhere(status));
        this.status = status;
        this.title = titles.includes(status) ? t(`refused.${status}`) : body.title;
        this.code = body.code;
        this.member = body.member;
        this.at = body.at;
    }
    get offline() { return this.status === 0; }
}

const listeners = new Set();
// Called when a session has ended under our feet.
export const onSignedOut = (fn) => { listeners.add(fn); return () => listeners.delete(fn); };

async function read(response) {
    const type = response.headers.get("Content-Type") || "";

    if (response.status === 204) return null;
    const text = await response.text();
    if (!type.includes("json")) return text;
    if (text.includes('_said":{')) await learn("sentences");
    if (text.includes('"symbols":[{')) await learnSymbols();
    return JSON.parse(text);
}

async function call(method, path, { query, body, bytes, key, version, signal, quiet } = {}) {
    const url = new URL(base + path, location.origin);
    const headers = { Accept: "application/json" };

    // A piece of an address that somebody made up ("..") leads nowhere, rather than to another call.
    if (url.pathname.split("/").length !== (base + path).split("/").length) throw new Problem({ code: "not_found" }, 404);

    for (const [name, value] of Object.entries(query ?? {}))
        for (const one of [value].flat()) if (one !== undefined && one !== null && one !== "") url.searchParams.append(name, one);
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (bytes !== undefined) headers["Content-Type"] = "application/octet-stream";
    if (version) headers["If-Match"] = `"${version}"`; // to this one or not at all: meanwhile.js
    if (method !== "GET") {
        headers["X-CSRF-Token"] = csrf;
        if (key !== false) headers["Idempotency-Key"] = key ?? crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
    }
    let response;
    try {
        response = await fetch(url, { method, headers, signal, credentials: "same-origin", body: bytes ?? (body === undefined ? undefined : JSON.stringify(body)) });
    } catch (error) {
        if (error.name === "AbortError") throw error;
        await ready;
        throw new Problem({ detail: "", code: "offline" }, 0);
    }
    const answer = await read(response).catch((error) => { if (error.name === "AbortError") throw error; return {}; });
    if (response.ok) return answer;
    await ready;
    const problem = new Problem(typeof answer === "object" && answer !== null ? answer : {}, response.status);
    if (response.status === 401 && !quiet) for (const fn of listeners) fn();
    throw problem;
}

export const get = (path, query, options) => call("GET", path, { query, ...options });
export const post = (path, body = {}, options) => call("POST", path, { body, ...options });
export const upload = (path, bytes, query, options) => call("POST", path, { bytes, query, key: false, ...options });
export const put = (path, body, options) => call("PUT", path, { body, ...options });
export const patch = (path, body, options) => call("PATCH", path, { body, ...options });
export const del = (path, options) => call("DELETE", path, options);

// Who is signed in; keeps what later writes have to prove.
export async function session() {
    const s = await get("/session", {}, { quiet: true });

    csrf = s.csrf ?? "";
    return s;
}

export const segment = (text) => encodeURIComponent(text);
