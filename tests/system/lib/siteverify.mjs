// A challenge service on loopback: its script and frame at one place, its `siteverify` at another. Its manners can be changed while it runs:
//   manner  "well"; "hangs"; "broken" (500 and a page); "stranger" (it does not know the secret); "large"
import { createServer } from "node:http";

const script = `window.turnstile = { render(box, { sitekey, callback }) {
    const frame = document.createElement("iframe");
    frame.title = "Check"; frame.src = new URL("/frame", ${"document.currentScript?.src ?? window.standInAt"}); box.append(frame);
    frame.addEventListener("load", () => { window.standInSaw = sitekey; callback("good-" + Math.random()); });
} }; window.standInAt = document.currentScript.src;`;

export async function startSiteverify({ secret = "the secret" } = {}) {
    const service = { manner: "well", asked: [], spent: new Set(), scripts: 0 };
    const answers = {
        well: (form) => {
            const token = form.get("response"), good = form.get("secret") === secret && /^good/.test(token) && !service.spent.has(token);
            service.spent.add(token);
            return { success: good, hostname: "x", "error-codes": good ? [] : [form.get("secret") === secret ? "timeout-or-duplicate" : "invalid-input-secret"] };
        },
        stranger: () => ({ success: false, "error-codes": ["invalid-input-secret"] }),
        large: () => ({ success: true, filler: "x".repeat(1 << 20) }),
    };
    const server = createServer((request, response) => {
        const parts = [];

        request.on("data", (bytes) => parts.push(bytes));
        request.on("end", () => {
            const { pathname } = new URL(request.url, "http://x");

            if (pathname === "/api.js") { service.scripts++; response.setHeader("Content-Type", "text/javascript"); response.setHeader("Cross-Origin-Resource-Policy", "cross-origin"); response.end(script); return; }
            if (pathname === "/frame") { response.setHeader("Content-Type", "text/html"); response.end("<!doctype html><html lang=en><title>Check</title><main><h1>Checked</h1></main></html>"); return; }
            const form = new URLSearchParams(Buffer.concat(parts).toString());
            service.asked.push(Object.fromEntries(form));
            if (service.manner === "hangs") return;
            if (service.manner === "broken") { response.statusCode = 500; response.end("<html>no</html>"); return; }
            response.setHeader("Content-Type", "application/json");
            response.end(JSON.stringify(answers[service.manner](form)));
        });
    });

    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    server.unref();
    service.at = `http://127.0.0.1:${server.address().port}`;
    service.stop = () => new Promise((done) => { server.closeAllConnections?.(); server.close(done); });
    return service;
}
