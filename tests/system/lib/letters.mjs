// Mail to learn from, as a generator makes it: two kinds whose words overlap, so that a filter has something to find out. The same
// number is always the same message, and no two numbers are. To a filter that has learnt nothing both kinds are the same: none of the words is
// one that SpamAssassin knows, and no many of them stand in a row (LONGWORDS).
const SHARED = `about after again also answer before between cannot could during email every first friday from have hello here home house
 know later letter little make many message monday more morning most much need never next night number office once only order other
 people please question quickly really send several should since some soon still subject sunday thank their there these thing think time
 today together tomorrow tuesday under until very wednesday week what when where which while will with within without word work would
 write year yesterday young your`.split(/\s+/);
const OF = {
    spam: `amazing approved bargain bonus casino cheap claim click congratulations credit crypto deal deposit diploma discount earn exclusive
 fortune free gamble guarantee instant investment jackpot limited loan lottery luxury million miracle offer pharmacy pills prize profit
 promotion refund replica reward risk rolex save spin subscribe supplement trial unclaimed urgent vitamin voucher wealth weight win winner`,
    ham: `agenda airport allergy apartment archive attached bakery bicycle birthday board bridge budget calendar ceramics chapter choir colleague
 committee compiler concert conference deadline dentist draft garden grandmother guitar harvest holiday invoice kernel kitchen lecture
 library meeting minutes museum nephew notes orchestra paragraph patch physics pottery recipe repository review school seminar sister
 teacher thesis timetable train translation university violin workshop`,
};
for (const kind of Object.keys(OF)) OF[kind] = OF[kind].split(/\s+/);

// xorshift32: numbers in [0, n).
function dice(seed) {
    let x = (seed * 2654435761 + 0x9e3779b9) >>> 0 || 1;
    const next = () => { x ^= x << 13; x >>>= 0; x ^= x >>> 17; x ^= x << 5; x >>>= 0; return x; };
    for (let i = 0; i < 8; i++) next();
    return (n) => next() % n;
}

// People repeat themselves: filters look at words that stand beside each other.
function phrases(own, seed) {
    const roll = dice(seed), pick = (from) => from[roll(from.length)];
    return Array.from({ length: 40 }, () => `${pick(own)} ${pick(SHARED)} ${pick(own)} ${pick(own)} ${pick(SHARED)}`);
}
const SAID = { spam: phrases(OF.spam, 1), ham: phrases(OF.ham, 2), all: phrases(SHARED, 3) };

const wrap = (text) => text.replace(/(.{60,72}) /g, "$1\r\n");

// letter("spam", 7): the seventh of its kind, with text and HTML.  to: its recipient  fields: further header lines, on top  date: when it was sent
export function letter(kind, n, { to = "anna@ours.example", words = 250, fields = "", date = "Sun, 22 Nov 2026 03:00:00 +0000" } = {}) {
    const roll = dice(n * 2 + (kind === "spam" ? 1 : 0)), own = OF[kind];
    const word = () => SHARED[roll(SHARED.length)], phrase = (of) => of[roll(of.length)];
    const text = Array.from({ length: Math.ceil(words / 5) }, () => `${phrase(roll(2) ? SAID[kind] : SAID.all)}${roll(3) ? "," : ";"}`).join(" ");
    const subject = `${word()} ${own[roll(own.length)]} ${word()} ${n}`, host = `host${n}.letters.example`, at = "=_letter";
    return `${fields}Received: from ${host} (${host} [192.0.2.${n % 250}]) by mx.ours.example with ESMTPS id L${n}; ${date}\r
From: "Sender ${n}" <sender${n}@${host}>\r
To: ${to}\r
Subject: ${subject}\r
Date: ${date}\r
Message-ID: <${kind}.${n}@${host}>\r
MIME-Version: 1.0\r
Content-Type: multipart/alternative; boundary="${at}"\r
\r
--${at}\r
Content-Type: text/plain; charset=utf-8\r
\r
${wrap(text)}\r
--${at}\r
Content-Type: text/html; charset=utf-8\r
\r
<html><body><h1>${subject}</h1><p>${wrap(text)}</p><p><a href="https://${host}/${own[roll(own.length)]}">${word()}</a></p></body></html>\r
--${at}--\r
`;
}
