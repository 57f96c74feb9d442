// The table of rule cases: each has a domain of its own, rules, a message, and what must come of it. cases.test.mjs sends every
// one through both protocols and through `postern explain`, and demands the same verdict of all three.
//
//   name      a sentence
//   rules     rules as imported; scope "domain" or "mailbox" stands for the case's own
//   mail      { from, subject, body, headers, raw } of the message
//   env       { from, rcpt, ip, host, helo, user } of the envelope; rcpt "anna" is anna@ the case's domain
//   want      "allow" | "block" | "none", or for several recipients { local part: verdict }
const AUTHSERV = "mx.ours.example";

export const cases = [];
const add = (name, rules, mail, env, want) => cases.push({ name, rules: [rules].flat(), mail, env, want });
const block = (...conditions) => ({ action: "block", conditions });
const allow = (...conditions) => ({ action: "allow", conditions });
const with_ = (rule, more) => ({ ...rule, ...more });
const sender = (any, more) => ({ kind: "sender", any: [any].flat(), ...more });
const not = (condition) => ({ ...condition, not: true });

// ---- sender: [entry, From, matches?, why] ----

for (const [entry, from, yes, why] of [
    ["ben@friends.example", "ben@friends.example", true, "an address matches itself"],
    ["Ben@Friends.Example", "bEN@FRIENDS.example", true, "an address compares without case"],
    ["ben@friends.example", "bens@friends.example", false, "an address does not match a longer local part"],
    ["ben@friends.example", "ben@mail.friends.example", false, "an address does not match in a subdomain"],
    ["friends.example", "ben@friends.example", true, "a domain matches its addresses"],
    ["friends.example", "ben@mail.friends.example", true, "a domain covers its subdomains"],
    ["friends.example", "ben@a.b.friends.example", true, "a domain covers deep subdomains"],
    ["friends.example", "ben@myfriends.example", false, "a domain does not match a longer name"],
    ["mail.friends.example", "ben@friends.example", false, "a subdomain does not match its parent"],
    ["FRIENDS.EXAMPLE", "ben@friends.example", true, "a domain compares without case"],
    ["*@friends.example", "ben@friends.example", true, "*@domain matches that domain"],
    ["*@friends.example", "ben@mail.friends.example", false, "*@domain leaves subdomains alone"],
    ["*@*.friends.example", "ben@mail.friends.example", true, "*@*.domain matches subdomains"],
    ["*@*.friends.example", "ben@friends.example", false, "*@*.domain leaves the domain itself alone"],
    ["*@*.friends.example", "ben@mailfriends.example", false, "*@*.domain wants the dot"],
    ["bounce-*@friends.example", "bounce-123@friends.example", true, "a star stands for any run"],
    ["bounce-*@friends.example", "bounce-@friends.example", true, "a star stands for nothing too"],
    ["bounce-*@friends.example", "xbounce-1@friends.example", false, "a wildcard matches the whole value"],
    ["b?n@friends.example", "ben@friends.example", true, "a question mark is one character"],
    ["b?n@friends.example", "been@friends.example", false, "a question mark is only one character"],
    ["*@mail.[friends|partner].example", "x@mail.partner.example", true, "brackets offer alternatives"],
    ["*@mail.[friends|partner].example", "x@mail.other.example", false, "what is not offered does not match"],
    ["*@shop.[de|dk]", "x@shop.dk", true, "alternatives may be the top level"],
    ["b\\*n@friends.example", "b*n@friends.example", true, "a backslash takes the meaning of a star away"],
    ["b\\*n@friends.example", "bxxn@friends.example", false, "an escaped star is no wildcard"],
    ["/^inv-\\d+@/", "inv-4711@friends.example", true, "a regex looks at the address"],
    ["/^inv-\\d+@/", "inv-x@friends.example", false, "a regex can fail"],
    ["/FRIENDS\\.example$/", "ben@friends.example", true, "a regex compares without case"],
    ["münchen.example", "x@xn--mnchen-3ya.example", true, "an IDN entry matches its A-label form"],
    ["xn--mnchen-3ya.example", "x@münchen.example", true, "an A-label entry matches the IDN form"],
    ["friends.example", '"ben@friends.example" <evil@bad.example>', false, "an address in the display name proves nothing"],
    ["ben@friends.example", "Ben (the (old) friend) <ben@friends.example>", true, "comments are passed over"],
    ["ben@friends.example", '"Friend, Ben" <ben@friends.example>', true, "a comma inside quotes does not divide"],
    ['"ben smith"@friends.example', '"Ben Smith"@friends.example', true, "a quoted local part compares unquoted"],
    ["ben@friends.example", "friends: ben@friends.example, eva@other.example;", true, "members of a group count"],
    ["eva@other.example", "ben@friends.example, eva@other.example", true, "of several From addresses a block needs one"],
    ["<>", "ben@friends.example", false, "the null sender is no From address"],
]) add(`sender ${entry}: ${why}`, block(sender(entry)), { from }, {}, yes ? "block" : "none");

add("several entries are alternatives", block(sender(["a@x.example", "b@x.example", "ben@friends.example"])), {}, {}, "block");
add("a negated sender holds where no entry matches", block(not(sender("partner.example")), { kind: "subject", any: ["lunch"] }), {}, {}, "block");
add("a negated sender fails where an entry matches", block(not(sender("friends.example")), { kind: "subject", any: ["lunch"] }), {}, {}, "none");
add("source from does not look at the envelope", block(sender("out.example")), {}, { from: "x@out.example" }, "none");
add("source envelope looks at the envelope", block(sender("out.example", { source: "envelope" })), {}, { from: "x@out.example" }, "block");
add("source envelope does not look at From", block(sender("friends.example", { source: "envelope" })), {}, { from: "x@out.example" }, "none");
add("source any finds it in the envelope", block(sender("out.example", { source: "any" })), {}, { from: "x@out.example" }, "block");
add("source any finds it in From", block(sender("friends.example", { source: "any" })), {}, { from: "x@out.example" }, "block");
add("<> is the null sender", block(sender("<>", { source: "envelope" })), {}, { from: "<>" }, "block");
add("nothing else matches the null sender", block(sender("*@*", { source: "envelope" })), {}, { from: "<>" }, "none");
add("<> is nobody else", block(sender("<>", { source: "envelope" })), {}, { from: "x@out.example" }, "none");
add("a message without From has no sender", block(sender("friends.example")), { raw: "Subject: lunch\r\n\r\nhello\r\n" }, {}, "none");
add("a From field that is no address matches nothing", block(sender("*@*")), { from: "nobody at all" }, {}, "none");

// ---- recipient ----

for (const [any, rcpt, yes, why] of [
    ["anna@DOMAIN", "anna", true, "the address matches"],
    ["otto@DOMAIN", "anna", false, "another address does not"],
    ["DOMAIN", "anna", true, "the domain matches"],
    ["*@DOMAIN", "anna", true, "*@domain matches"],
    ["an*@DOMAIN", "anna", true, "wildcards match"],
    ["[otto|anna]@DOMAIN", "anna", true, "alternatives match"],
    ["/^anna@/", "anna", true, "a regex matches"],
    ["anna+news@DOMAIN", "anna+news", true, "the address as it was given matches"],
    ["anna@DOMAIN", "anna+news", true, "the mailbox that a tagged address leads to matches"],
    ["anna@DOMAIN", "chief", true, "the mailbox that an alias leads to matches"],
    ["chief@DOMAIN", "chief", true, "the alias itself matches"],
    ["otto@DOMAIN", "chief", false, "an alias leads nowhere else"],
]) add(`recipient ${any} for ${rcpt}: ${why}`, block({ kind: "recipient", any: [any] }), {}, { rcpt: [rcpt] }, { [rcpt]: yes ? "block" : "none" });
add("a negated recipient spares whom it names", block(not({ kind: "recipient", any: ["anna@DOMAIN"] })), {}, { rcpt: ["anna", "otto"] }, { anna: "none", otto: "block" });

// ---- texts: the same matches in subject, header and body ----

const texts = [
    ["contains", "invoice", "Your invoice is here", true, "an occurrence in the middle"],
    ["contains", "invoice", "Your INVOICE is here", true, "without case"],
    ["contains", "invoice", "Nothing to see", false, "no occurrence"],
    ["contains", "rechnung für", "Die RECHNUNG FÜR Sie", true, "umlauts without case"],
    ["contains", "a*c", "xx abc xx", false, "a star is literal in text"],
    ["contains", "a*c", "xx a*c xx", true, "a star is found as a star"],
    ["exact", "hello world", "Hello World", true, "the whole text"],
    ["exact", "hello world", "Hello World!", false, "not more than the whole"],
    ["exact", "hello", "   hello  ", true, "trimmed"],
    ["starts_with", "re:", "RE: your question", true, "its start"],
    ["starts_with", "re:", "Fwd: Re: your question", false, "not in the middle"],
    ["ends_with", "for you", "something for YOU", true, "its end"],
    ["ends_with", "for you", "for you something", false, "not its start"],
    ["regex", "inv-[0-9]{6}", "see INV-004711 there", true, "a regex without case"],
    ["regex", "inv-[0-9]{6}", "see INV-4711 there", false, "a regex that fails"],
    ["regex", "\\bgr(ü|ue)n\\b", "Alles GRÜN hier", true, "a regex in Unicode"],
    ["regex", "(?<!no )money", "no money", false, "a lookbehind"],
];
for (const [match, entry, text, yes, why] of texts) {
    add(`subject ${match} "${entry}": ${why}`, block({ kind: "subject", match, any: [entry] }), { subject: text }, {}, yes ? "block" : "none");
    add(`header ${match} "${entry}": ${why}`, block({ kind: "header", name: "X-Note", match, any: [entry] }), { headers: [`X-Note: ${text}`] }, {}, yes ? "block" : "none");
    if (match !== "exact") add(`body ${match} "${entry}": ${why}`, block({ kind: "body", match, any: [entry] }), { body: text }, {}, yes ? "block" : "none");
    add(`subject not ${match} "${entry}": ${why}`, block(not({ kind: "subject", match, any: [entry] }), { kind: "sender", any: ["friends.example"] }), { subject: text }, {}, yes ? "none" : "block");
}
add("case_sensitive tells cases apart", block({ kind: "subject", match: "contains", any: ["Lunch"], case_sensitive: true }), { subject: "lunch" }, {}, "none");
add("case_sensitive finds the same case", block({ kind: "subject", match: "contains", any: ["Lunch"], case_sensitive: true }), { subject: "Lunch" }, {}, "block");
add("a case-sensitive regex tells cases apart", block({ kind: "subject", match: "regex", any: ["^Lunch"], case_sensitive: true }), { subject: "lunch now" }, {}, "none");
add("encoded words are read, base64", block({ kind: "subject", any: ["jäckpot"] }), { subject: "=?utf-8?B?SsOkY2twb3Q=?=" }, {}, "block");
add("encoded words are read, Q and Latin-1", block({ kind: "subject", any: ["grün"] }), { subject: "=?iso-8859-1?Q?gr=FCn?=" }, {}, "block");
add("adjacent encoded words join", block({ kind: "subject", any: ["hello world"] }), { subject: "=?utf-8?Q?hello_?=\r\n =?utf-8?Q?world?=" }, {}, "block");
add("a folded header is unfolded", block({ kind: "subject", any: ["hello world"] }), { subject: "hello\r\n world" }, {}, "block");
add("an encoded word of an unknown charset makes the condition unknown", block({ kind: "subject", any: ["secret"] }), { subject: "=?x-unknown-9?B?c2Vj?=" }, {}, "none");
add("and its negation is unknown too", block(not({ kind: "subject", any: ["secret"] }), sender("friends.example")), { subject: "=?x-unknown-9?B?c2Vj?=" }, {}, "none");
add("an absent header is the empty string: contains fails", block({ kind: "header", name: "X-None", any: ["x"] }), {}, {}, "none");
add("an absent header is the empty string: not contains holds", block(not({ kind: "header", name: "X-None", any: ["x"] }), sender("friends.example")), {}, {}, "block");
add("an absent header matches a regex for the empty text", block({ kind: "header", name: "X-None", match: "regex", any: ["^$"] }, sender("friends.example")), {}, {}, "block");
add("any instance of a repeated header may match", block({ kind: "header", name: "X-Note", any: ["two"] }), { headers: ["X-Note: one", "X-Note: two"] }, {}, "block");
add("not needs that no instance matches", block(not({ kind: "header", name: "X-Note", any: ["two"] }), sender("friends.example")), { headers: ["X-Note: one", "X-Note: two"] }, {}, "none");
add("header names compare without case", block({ kind: "header", name: "x-NOTE", any: ["one"] }), { headers: ["X-Note: one"] }, {}, "block");
add("several entries of a text are alternatives", block({ kind: "subject", any: ["tea", "lunch", "coffee"] }), {}, {}, "block");

// ---- bodies as people see them ----

const multipart = (...parts) => ({ headers: ['MIME-Version: 1.0', 'Content-Type: multipart/mixed; boundary="b"'], body: `${parts.map((p) => `--b\r\n${p}`).join("\r\n")}\r\n--b--` });
const part = (headers, body) => `${[headers].flat().join("\r\n")}\r\n\r\n${body}`;
const typed = (type, body, ...more) => ({ headers: ["MIME-Version: 1.0", `Content-Type: ${type}`, ...more], body });
const body = (text, more) => ({ kind: "body", any: [text], ...more });

for (const [why, condition, mail, want] of [
    ["base64 is decoded", body("hidden words"), typed("text/plain", Buffer.from("the hidden words are here").toString("base64"), "Content-Transfer-Encoding: base64"), "block"],
    ["quoted-printable is decoded", body("grün"), typed("text/plain; charset=utf-8", "gr=C3=BCn", "Content-Transfer-Encoding: quoted-printable"), "block"],
    ["a soft line break does not divide a word", body("garden"), typed("text/plain", "gar=\r\nden", "Content-Transfer-Encoding: quoted-printable"), "block"],
    ["Latin-1 is read", body("grün"), typed("text/plain; charset=iso-8859-1", "gr=FCn", "Content-Transfer-Encoding: quoted-printable"), "block"],
    ["HTML is read as seen", body("click here"), typed("text/html", "<p>cl<b>ic</b>k <i>here</i></p>"), "block"],
    ["tags are not text", body("http://bad.example"), typed("text/html", '<a href="http://bad.example">x</a>'), "none"],
    ["a regex sees the source too", body("href=.http://bad", { match: "regex" }), typed("text/html", '<a href="http://bad.example">x</a>'), "block"],
    ["entities are decoded", body("tom & jerry"), typed("text/html", "tom &amp; jerry"), "block"],
    ["scripts are not seen", body("evil code"), typed("text/html", "<script>evil code</script>good"), "none"],
    ["comments are not seen", body("evil code"), typed("text/html", "<!-- evil code -->good"), "none"],
    ["hidden text is not seen", body("invisible"), typed("text/html", '<span style="display:none">invisible</span>seen'), "none"],
    ["each text part counts", body("second part"), multipart(part("Content-Type: text/plain", "first"), part("Content-Type: text/plain", "the second part")), "block"],
    ["an attached text is no body", body("attached words"), multipart(part("Content-Type: text/plain", "first"), part(["Content-Type: text/plain", 'Content-Disposition: attachment; filename="a.txt"'], "attached words")), "none"],
    ["what an unknown transfer encoding shows is found all the same", body("nothing"), typed("text/plain", "nothing", "Content-Transfer-Encoding: x-rot13"), "block"],
    ["what an unknown transfer encoding hides is unknown", body("secret"), typed("text/plain", "nothing", "Content-Transfer-Encoding: x-rot13"), "none"],
    ["and so is its negation", not(body("secret")), typed("text/plain", "nothing", "Content-Transfer-Encoding: x-rot13"), "none"],
    ["a missing closing boundary hides nothing", body("last words"), { headers: ['Content-Type: multipart/mixed; boundary="b"'], body: "--b\r\nContent-Type: text/plain\r\n\r\nlast words\r\n" }, "block"],
    ["an empty body contains nothing", body("x"), { body: "" }, "none"],
]) add(`body: ${why}`, block(condition), mail, {}, want);
add("body: not contains holds where it does not occur", block(not(body("lottery")), sender("friends.example")), {}, {}, "block");
add("body: a regex sees line starts", block(body("^second", { match: "regex" })), { body: "first\r\nsecond" }, {}, "block");

// ---- ip ----

for (const [entry, ip, yes, why] of [
    ["192.0.2.7", "192.0.2.7", true, "the address"], ["192.0.2.7", "192.0.2.8", false, "another address"],
    ["192.0.2.0/24", "192.0.2.255", true, "inside the block"], ["192.0.2.0/24", "192.0.3.0", false, "behind the block"],
    ["192.0.2.10-192.0.2.99", "192.0.2.10", true, "the first of a range"], ["192.0.2.10-192.0.2.99", "192.0.2.99", true, "the last of a range"],
    ["192.0.2.10-192.0.2.99", "192.0.2.100", false, "behind the range"],
    ["2001:db8::/32", "2001:db8:1::1", true, "an IPv6 block"], ["2001:db8::1", "2001:DB8:0::1", true, "IPv6 written differently"],
    ["2001:db8::/32", "2001:db9::1", false, "outside the IPv6 block"], ["0.0.0.0/0", "198.51.100.1", true, "all of IPv4"],
    ["0.0.0.0/0", "2001:db8::1", false, "IPv4 blocks do not hold IPv6"],
]) {
    add(`ip ${entry} for ${ip}: ${why}`, block({ kind: "ip", any: [entry] }), {}, { ip }, yes ? "block" : "none");
    add(`ip not ${entry} for ${ip}: ${why}`, block(not({ kind: "ip", any: [entry] }), sender("friends.example")), {}, { ip }, yes ? "none" : "block");
}
add("ip: an unknown client matches no block", block({ kind: "ip", any: ["192.0.2.0/24"] }), {}, {}, "none");
add("ip: behind a trusted relay the first foreign Received line tells", block({ kind: "ip", any: ["203.0.113.9"] }), { top: ["Received: from mail.bad.example (mail.bad.example [203.0.113.9]) by relay.ours.example; Fri, 20 Nov 2026 10:00:00 +0000"] }, { ip: "127.0.0.1" }, "block");
add("ip: a Received line below a foreign one is hearsay", block({ kind: "ip", any: ["203.0.113.9"] }), { top: ["Received: from mail.bad.example (mail.bad.example [203.0.113.9]) by relay.ours.example; Fri, 20 Nov 2026 10:00:00 +0000"] }, { ip: "198.51.100.4" }, "none");

// ---- host ----

for (const [entry, host, yes, why] of [
    ["mx.partner.example", "mx.partner.example", true, "the name"], ["mx.partner.example", "MX.Partner.Example", true, "without case"],
    ["mx.partner.example", "a.mx.partner.example", false, "not below it"], ["*.partner.example", "mx.partner.example", true, "*.domain holds what is below"],
    ["*.partner.example", "partner.example", false, "*.domain is not the domain"], ["*.[de|dk]", "mail.shop.dk", true, "alternatives"],
    ["*.[de|dk]", "mail.shop.se", false, "no alternative"], ["mx?.partner.example", "mx2.partner.example", true, "one character"],
]) add(`host ${entry} for ${host}: ${why}`, block({ kind: "host", any: [entry] }), {}, { ip: "192.0.2.7", host }, yes ? "block" : "none");
add("host: the HELO counts for a block", block({ kind: "host", any: ["evil.example"] }), {}, { ip: "192.0.2.7", helo: "evil.example" }, "block");
add("host: the HELO does not count for an allow", with_(allow({ kind: "host", any: ["mx.partner.example"] }, sender("friends.example")), { require_proof: false }), {}, { ip: "192.0.2.7", helo: "mx.partner.example" }, "none");
add("host: where the MTA knows of no name, not holds", block(not({ kind: "host", any: ["*.partner.example"] }), sender("friends.example")), {}, { ip: "192.0.2.7", host: "unknown" }, "block");
add("host: where no name is stated, not is unknown", block(not({ kind: "host", any: ["*.partner.example"] }), sender("friends.example")), {}, { ip: "192.0.2.7" }, "none");
add("host: a verified name counts for an allow", with_(allow({ kind: "host", any: ["mx.partner.example"] }, sender("friends.example")), { require_proof: false }), {}, { ip: "192.0.2.7", host: "mx.partner.example" }, "allow");

// ---- size ----

const sized = "Subject: s\r\n\r\n12345\r\n"; // 21 bytes
for (const [min, max, yes] of [[0, 1000, true], [21, 21, true], [22, 1000, false], [0, 20, false], [21, undefined, true], [undefined, 20, false]])
    add(`size ${min ?? ""} to ${max ?? ""} of 21 bytes`, block({ kind: "size", ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }) }), { raw: sized }, {}, yes ? "block" : "none");
add("size counts CRLF line ends where the message has bare ones", block({ kind: "size", min: 21, max: 21 }), { raw: sized.replaceAll("\r\n", "\n") }, {}, "block");
add("size not", block(not({ kind: "size", min: 1000 }), { kind: "subject", match: "exact", any: ["s"] }), { raw: sized }, {}, "block");

// ---- attachments ----

const attached = (...headers) => multipart(part("Content-Type: text/plain", "see there"), part(headers, "xx"));
const attachment = (...any) => ({ kind: "attachment", any });
const pdf = attached('Content-Type: application/pdf; name="Invoice-7.PDF"', 'Content-Disposition: attachment; filename="Invoice-7.PDF"');
for (const [why, condition, mail, yes] of [
    ["an extension", attachment({ extension: "pdf" }), pdf, true],
    ["another extension", attachment({ extension: "exe" }), pdf, false],
    ["an extension with a wildcard", attachment({ extension: "p*" }), pdf, true],
    ["extensions to choose from", attachment({ extension: "[exe|pdf]" }), pdf, true],
    ["a type with a wildcard", attachment({ mime_type: "application/*" }), pdf, true],
    ["another type", attachment({ mime_type: "image/*" }), pdf, false],
    ["a file name", attachment({ filename: "invoice-*.pdf" }), pdf, true],
    ["another file name", attachment({ filename: "offer-*.pdf" }), pdf, false],
    ["both keys of one object", attachment({ filename: "invoice-*", mime_type: "application/pdf" }), pdf, true],
    ["only one of two keys", attachment({ filename: "invoice-*", mime_type: "image/png" }), pdf, false],
    ["one of two objects", attachment({ mime_type: "image/png" }, { extension: "pdf" }), pdf, true],
    ["that there is one", attachment({ present: true }), pdf, true],
    ["that there is one, where there is none", attachment({ present: true }), {}, false],
    ["that there is none", attachment({ present: false }), {}, true],
    ["that there is none, where there is one", attachment({ present: false }), pdf, false],
    ["an RFC 2231 name", attachment({ extension: "exe" }), attached("Content-Type: application/octet-stream", "Content-Disposition: attachment; filename*=utf-8''d%C3%B6c.exe"), true],
    ["an RFC 2231 name in pieces", attachment({ filename: "document.exe" }), attached("Content-Type: application/octet-stream", 'Content-Disposition: attachment; filename*0="docu"; filename*1="ment.exe"'), true],
    ["an RFC 2047 name", attachment({ filename: "döc.exe" }), attached("Content-Type: application/octet-stream", 'Content-Disposition: attachment; filename="=?utf-8?Q?d=C3=B6c=2Eexe?="'), true],
    ["a name without a disposition", attachment({ extension: "exe" }), attached('Content-Type: application/octet-stream; name="a.exe"'), true],
    ["an inline part with a name", attachment({ extension: "exe" }), attached("Content-Type: application/octet-stream", 'Content-Disposition: inline; filename="a.exe"'), true],
    ["a disposition without a name", attachment({ mime_type: "application/x-thing" }), attached("Content-Type: application/x-thing", "Content-Disposition: attachment"), true],
    ["an attached message", attachment({ mime_type: "message/rfc822" }), attached("Content-Type: message/rfc822"), true],
    ["a file in an attached message", attachment({ extension: "exe" }), multipart(part("Content-Type: message/rfc822", 'Subject: inner\r\nContent-Type: application/octet-stream; name="inner.exe"\r\n\r\nxx')), true],
    ["only the last extension", attachment({ extension: "pdf" }), attached("Content-Type: application/octet-stream", 'Content-Disposition: attachment; filename="a.pdf.exe"'), false],
]) {
    add(`attachment: ${why}`, block(condition), mail, {}, yes ? "block" : "none");
    add(`attachment, negated: ${why}`, block(not(condition), sender("friends.example")), mail, {}, yes ? "none" : "block");
}

// ---- proof ----

const results = (text) => ({ top: [`Authentication-Results: ${AUTHSERV}; ${text}`] });
const friend = allow(sender("friends.example"));
for (const [why, rule, mail, env, want] of [
    ["without proof an allow does nothing", friend, {}, {}, "none"],
    ["a spoofed From in our own authserv's eyes", friend, results("dmarc=fail header.from=friends.example"), {}, "none"],
    ["DMARC pass is proof", friend, results("dmarc=pass header.from=friends.example"), {}, "allow"],
    ["an aligned DKIM signature is proof", friend, results("dkim=pass header.d=friends.example"), {}, "allow"],
    ["a DKIM signature of a subdomain is proof", friend, results("dkim=pass header.d=mail.friends.example"), {}, "allow"],
    ["a stranger's DKIM signature is none", friend, results("dkim=pass header.d=bulk.example"), {}, "none"],
    ["a failed DKIM signature is none", friend, results("dkim=fail header.d=friends.example"), {}, "none"],
    ["aligned SPF is proof", friend, results("spf=pass smtp.mailfrom=bounce@friends.example"), { from: "bounce@friends.example" }, "allow"],
    ["SPF of another domain is none", friend, results("spf=pass smtp.mailfrom=x@bulk.example"), { from: "x@bulk.example" }, "none"],
    ["somebody else's Authentication-Results are none", friend, { top: ["Authentication-Results: mx.evil.example; dmarc=pass header.from=friends.example"] }, {}, "none"],
    ["our authserv's name below a foreign Received line is none", friend, { top: ["Received: from a (a [203.0.113.5]) by mx.evil.example; Fri, 20 Nov 2026 10:00:00 +0000", `Authentication-Results: ${AUTHSERV}; dmarc=pass header.from=friends.example`] }, { ip: "198.51.100.3" }, "none"],
    ["require_proof off takes the risk", with_(friend, { require_proof: false }), {}, {}, "allow"],
    ["a matching ip in the rule is proof", allow(sender("friends.example"), { kind: "ip", any: ["192.0.2.0/24"] }), {}, { ip: "192.0.2.7" }, "allow"],
    ["an ip that does not match is a condition that fails", allow(sender("friends.example"), { kind: "ip", any: ["192.0.2.0/24"] }), {}, { ip: "198.51.100.7" }, "none"],
    ["a matching signed_by in the rule is proof", allow(sender("friends.example"), { kind: "signed_by", any: ["lists.example"] }), results("dkim=pass header.d=lists.example"), {}, "allow"],
    ["of several From addresses an allow needs all", with_(friend, { require_proof: false }), { from: "ben@friends.example, eva@other.example" }, {}, "none"],
    ["all From addresses allowed", with_(friend, { require_proof: false }), { from: "ben@friends.example, eva@friends.example" }, {}, "allow"],
    ["signed_by blocks too", block({ kind: "signed_by", any: ["bulk.example"] }), results("dkim=pass header.d=bulk.example"), {}, "block"],
    ["signed_by a domain below", block({ kind: "signed_by", any: ["bulk.example"] }), results("dkim=pass header.d=mail.bulk.example"), {}, "block"],
    ["signed_by somebody else", block({ kind: "signed_by", any: ["bulk.example"] }), results("dkim=pass header.d=other.example"), {}, "none"],
    ["signed_by with a failed signature", block({ kind: "signed_by", any: ["bulk.example"] }), results("dkim=fail header.d=bulk.example"), {}, "none"],
]) add(`proof: ${why}`, rule, mail, env, want);

// ---- direction and flow ----

const outbound = { user: "anna@DOMAIN", from: "anna@DOMAIN", rcpt: ["ext@far.example"] };
for (const [flow, env, want] of [
    ["from", {}, "block"], ["to", {}, "none"], ["from_or_to", {}, "block"],
]) add(`inbound: a rule about senders with flow ${flow}`, with_(block(sender("friends.example")), { flow }), {}, env, want);
for (const [flow, want] of [["from", "none"], ["to", "block"], ["from_or_to", "block"]])
    add(`outbound: a rule with flow ${flow}, on the receiving side`, with_(block(sender("far.example")), { flow }), { from: "anna@DOMAIN" }, outbound, { "ext@far.example": want });
add("outbound: the sender's domain decides, not a stranger's rules", with_(block(sender("other.example")), { flow: "to" }), { from: "anna@DOMAIN" }, outbound, { "ext@far.example": "none" });
add("outbound: subject rules with flow to hold", with_(block({ kind: "subject", any: ["lunch"] }), { flow: "to" }), { from: "anna@DOMAIN" }, outbound, { "ext@far.example": "block" });
add("local: the recipient's rules hold", block(sender("anna@DOMAIN", { source: "envelope" })), { from: "anna@DOMAIN" }, { user: "anna@DOMAIN", from: "anna@DOMAIN", rcpt: ["otto"] }, { otto: "block" });

// ---- layers ----

const lunch = { kind: "subject", any: ["lunch"] };
const mailbox = (rule, more) => with_(rule, { scope: "mailbox", ...more });
const enforced = (rule, more) => with_(rule, { policy: "Enforced", ...more });
const subjectAllow = with_(allow(lunch), { require_proof: false });
for (const [why, rules, want, mail] of [
    ["the mailbox overrules the domain: allow", [block(lunch), mailbox(subjectAllow)], "allow"],
    ["the mailbox overrules the domain: block", [subjectAllow, mailbox(block(lunch))], "block"],
    ["the domain's locked policy overrules the mailbox", [enforced(block(lunch)), mailbox(subjectAllow)], "block"],
    ["at the same priority an allow goes before a block", [block(lunch), subjectAllow], "allow"],
    ["and in the other order of making too", [subjectAllow, block(lunch)], "allow"],
    ["the lower rule priority decides", [with_(block(lunch), { priority: 50 }), subjectAllow], "block"],
    ["the higher rule priority does not", [with_(block(lunch), { priority: 150 }), subjectAllow], "allow"],
    ["a rule that does not match leaves it to the next", [with_(block(sender("nobody.example")), { priority: 1 }), subjectAllow], "allow"],
    ["a rule that is off does nothing", [with_(block(lunch), { enabled: false })], "none"],
    ["a test-only rule decides nothing", [with_(block(lunch), { test_only: true })], "none"],
    ["a test-only rule does not hide another", [with_(block(lunch), { test_only: true, priority: 1 }), subjectAllow], "allow"],
    ["an expired rule does nothing", [with_(block(lunch), { expires_at: "2020-01-01T00:00:00Z" })], "none"],
    ["a rule that will expire holds", [with_(block(lunch), { expires_at: "2099-01-01T00:00:00Z" })], "block"],
    ["an unproven allow does not hide a block", [friend, with_(block(lunch), { priority: 200 })], "block"],
    ["an unproven allow of the mailbox does not hide the domain's block", [mailbox(friend), block(lunch)], "block"],
    ["all conditions must hold", [block(lunch, sender("nobody.example"))], "none"],
    ["an unknown condition keeps a rule from applying", [block(lunch, not({ kind: "header", name: "X-Odd", any: ["zzz"] }))], "none", { headers: ["X-Odd: =?x-unknown-9?B?eA==?="] }],
]) add(`layers: ${why}`, rules, mail ?? {}, {}, want);

// ---- several recipients, each by themselves ----

add("each recipient is judged by their own rules", [mailbox(block(lunch))], {}, { rcpt: ["anna", "otto"] }, { anna: "block", otto: "none" });
add("a domain's rule holds for all its recipients", [block(lunch)], {}, { rcpt: ["anna", "otto"] }, { anna: "block", otto: "block" });
add("one allows what the domain blocks for the other", [block(lunch), mailbox(subjectAllow)], {}, { rcpt: ["anna", "otto"] }, { anna: "allow", otto: "block" });
add("a rule about one recipient leaves the other alone", [block({ kind: "recipient", any: ["otto@DOMAIN"] })], {}, { rcpt: ["anna", "otto"] }, { anna: "none", otto: "block" });
add("postmaster obeys no rule of the domain", [block(lunch)], {}, { rcpt: ["postmaster", "anna"] }, { postmaster: "none", anna: "block" });
add("abuse obeys no rule of the domain", [block(lunch)], {}, { rcpt: ["abuse"] }, { abuse: "none" });
add("a stranger's address is judged by nobody's rules", [block(lunch)], {}, { rcpt: ["x@elsewhere.example"] }, { "x@elsewhere.example": "none" });

export { AUTHSERV };
