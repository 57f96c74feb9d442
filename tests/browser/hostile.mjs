// Mail that wants to be more than text: each has a subject, a name or an address that tries something.
export const word = (text) => (text.match(/.{1,20}/gsu) ?? []).map((part) => `=?utf-8?B?${Buffer.from(part).toString("base64")}?=`).join("\r\n ");
const script = "window.pwned=1;alert(1)";

// [what it tries, subject, name]
const tries = [
    ["a script", `<script>${script}</script>`],
    ["an image that fails", `<img src=x onerror="${script}">`],
    ["a drawing", `<svg/onload=${script}>`],
    ["to leave an attribute", `"><a href="javascript:${script}">win</a>`],
    ["to leave a title", `</title></style></textarea><script>${script}</script>`],
    ["a frame", `<iframe srcdoc="<script>parent.${script}</script>"></iframe>`],
    ["an entity", `&lt;script&gt;${script}&lt;/script&gt; &#60;b&#62;`],
    ["a template", "${alert(1)} {{constructor.constructor('alert(1)')()}} #{7*7}"],
    ["an override of direction", "invoice \u202Egpj.exe\u202C \u2066\u202Emoc.elpmaxe\u2069", "\u202Ereknab ruoY"],
    ["overrides that are never closed", "\u202E\u202E\u2067\u2067never closed", "\u202Enever closed"],
    ["Arabic", "مرحبا بالعالم: فاتورة 4711", "أحمد"],
    ["Hebrew and English", "שלום world חשבונית 12", "דוד Cohen"],
    ["nothing that one sees", "\u200B\u200B\u200D\u2060\uFEFF", "\u200B"],
    ["many marks on a letter", `Z${"\u0301\u0336\u0489".repeat(60)}algo`],
    ["ten thousand letters", "W".repeat(10_000), "N".repeat(2_000)],
    ["ten thousand letters, and no room to break", "🂡".repeat(3_000), "👨‍👩‍👧‍👦".repeat(40)],
    ["lines and tabs", "one\u2028two\u2029three\tfour\u0085five\u000Bsix"],
    ["control bytes", "a\u0007b\u001B[31mred\u0008\u007F"],
    ["a link", "javascript:alert(1) data:text/html,<script>alert(1)</script> https://evil.example/"],
    ["our own words", "Quarantined Delivered <span class=\"chip chip-delivered\">Delivered</span>", "Postern <script>alert(1)</script>"],
    ["an object's own names", "__proto__ constructor toString hasOwnProperty", "__proto__"],
];

// The same for whatever else people and programs may name: a line, not longer than a name may be.
export const names = tries.map(([, text]) => Array.from(text.replace(/[\p{Cc}\u2028\u2029]/gu, " ")).slice(0, 48).join(""));

const html = `<html><body onload="${script}"><script>${script}</script><img src="http://evil.example/seen.gif"><img src=x onerror="${script}">
<style>@import "http://evil.example/a.css"; body{background:url(http://evil.example/b.png)}</style><link rel=stylesheet href="http://evil.example/c.css">
<form action="http://evil.example/"><input name=password></form><iframe src="http://evil.example/"></iframe><meta http-equiv=refresh content="0;url=http://evil.example/">
<a href="http://evil.example/" target=_top>www.bank.example</a><p>Still to be read.</p></body></html>`;

export const hostile = [
    ...tries.map(([holds, subject, name], i) => ({ holds, shown: subject, subject: word(subject), from: `x${i}@hostile.example`, ...(name ? { name: word(name) } : { name: word(subject.slice(0, 300)) }) })),
    { holds: "an address", shown: "about the address", subject: "about the address", from: `"<script>${script}</script>"@${"a".repeat(60)}.${"b".repeat(60)}.example` },
    { holds: "a page in a message that is held", shown: "Raffle of a page", subject: "Raffle of a page", from: "page@hostile.example", fields: "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\nX-Try: <img src=x onerror=alert(1)>\r\n", body: html },
];
