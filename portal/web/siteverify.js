// The widget of a challenge service (Turnstile, hCaptcha and the like): its script is loaded when it is needed, and not before.
const SECONDS = 10;
let loading;

const load = (src) => (loading ??= new Promise((done, fail) => {
    const script = document.createElement("script"), lost = () => { loading = undefined; script.remove(); fail(new Error("its script did not come")); };
    const timer = setTimeout(lost, SECONDS * 1000);

    script.src = src;
    script.onload = () => { clearTimeout(timer); done(); };
    script.onerror = () => { clearTimeout(timer); lost(); };
    document.head.append(script);
}));

// The token, once the service has let the reader by; throws where it cannot be asked. A token is good once, so each is asked for anew.
export async function solve({ script, site_key: sitekey }, box) {
    await load(script);
    const api = globalThis.turnstile ?? globalThis.hcaptcha ?? globalThis.grecaptcha, place = document.createElement("div");

    if (!api?.render) throw new Error("its script is none");
    box.replaceChildren(place);
    return new Promise((done, fail) => {
        api.render(place, { sitekey, callback: done, "error-callback": () => { fail(new Error("it failed")); return true; } });
    }).finally(() => box.replaceChildren());
}
