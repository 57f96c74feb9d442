// The small piece of work that a browser does before it may ask to sign in: find a number whose SHA-256, behind the server's words, begins with
// so many zero bits. No third party hears of it. WebCrypto does it; pages without TLS have none, so there is SHA-256 in plain JavaScript too.
const K = new Uint32Array(64);
const first = new Uint32Array(8);
{
    const primes = [];
    for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
    const fraction = (x) => ((x - Math.floor(x)) * 2 ** 32) >>> 0;
    primes.forEach((p, i) => { K[i] = fraction(Math.cbrt(p)); if (i < 8) first[i] = fraction(Math.sqrt(p)); });
}
const turn = (x, n) => (x >>> n) | (x << (32 - n));

// FIPS 180-4, for short inputs.
export function sha256(bytes) {
    const length = bytes.length, blocks = (length + 9 + 63) >> 6, data = new Uint8Array(blocks * 64), w = new Uint32Array(64), h = first.slice();

    data.set(bytes);
    data[length] = 0x80;
    new DataView(data.buffer).setUint32(data.length - 4, length * 8);
    for (let b = 0; b < blocks; b++) {
        const view = new DataView(data.buffer, b * 64, 64);
        for (let i = 0; i < 16; i++) w[i] = view.getUint32(i * 4);
        for (let i = 16; i < 64; i++) {
            const x = w[i - 15], y = w[i - 2];
            w[i] = w[i - 16] + (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) + w[i - 7] + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10));
        }
        let [a, c, d, e, f, g, i2, j] = h;
        for (let i = 0; i < 64; i++) {
            const t1 = (j + (turn(f, 6) ^ turn(f, 11) ^ turn(f, 25)) + ((f & g) ^ (~f & i2)) + K[i] + w[i]) | 0;
            const t2 = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & c) ^ (a & d) ^ (c & d))) | 0;
            j = i2; i2 = g; g = f; f = (e + t1) | 0; e = d; d = c; c = a; a = (t1 + t2) | 0;
        }
        [a, c, d, e, f, g, i2, j].forEach((v, i) => { h[i] = (h[i] + v) | 0; });
    }
    const out = new Uint8Array(32);
    h.forEach((v, i) => new DataView(out.buffer).setUint32(i * 4, v));
    return out;
}

const zeroBits = (hash) => {
    let n = 0;
    for (const byte of hash) { if (byte === 0) { n += 8; continue; } return n + Math.clz32(byte) - 24; }
    return n;
};

// Many at once: WebCrypto is asked once for all of them, and works beside the page.
const BATCH = 256;
const byBrowser = (all) => Promise.all(all.map(async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))));
// In the page itself: it is let go on every few milliseconds.
async function byPage(all) {
    const out = [];

    for (let i = 0, since = performance.now(); i < all.length; i++) {
        out.push(sha256(all[i]));
        if (performance.now() - since > 8) { await new Promise((go) => setTimeout(go)); since = performance.now(); }
    }
    return out;
}

// Resolves to { id, answer }.
export async function prove({ id, words, bits }) {
    const text = new TextEncoder(), digests = globalThis.crypto?.subtle ? byBrowser : byPage;

    for (let n = 0; ; n += BATCH) {
        const found = (await digests(Array.from({ length: BATCH }, (_, i) => text.encode(`${words}:${n + i}`)))).findIndex((hash) => zeroBits(hash) >= bits);

        if (found >= 0) return { id, answer: String(n + found) };
    }
}
