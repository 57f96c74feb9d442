// Further mail software that tests/peers unpacked: OpenSMTPD, spamass-milter and Dovecot's delivery agent; and what the
// tests of a topology share: the files of examples/, with the paths and ports of this run.
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";

import { canConnect, freePort, removeDir, root, start, tempDir, userOf } from "./process.mjs";
import { unpacked } from "./peers.mjs";

// A file of examples/. `swap` is { "what stands there": "what this run has instead" }; what is not there is an error,
// so that no test drifts away from what it shows.
export function example(file, swap = {}) {
    let text = readFileSync(join(root, "examples", file), "utf8");

    for (const [from, to] of Object.entries(swap)) {
        if (!text.includes(from)) throw new Error(`examples/${file} has no "${from}"`);
        text = text.replaceAll(from, to);
    }
    return text;
}

// The settings of a main.cf as startPostfix() wants them; lines that begin with white space continue the one before.
export function mainCf(text) {
    const settings = {};

    for (const line of text.replace(/^#.*\n/gm, "").replace(/\n[ \t]+/g, " ").split("\n")) {
        const [, key, value] = /^(\w+)\s*=\s*(.*)$/.exec(line) ?? [];
        if (key) settings[key] = value;
    }
    return settings;
}

// The sections of a postern.conf as makeSite() wants them.
export function sections(text) {
    const found = {};
    let keys;

    for (const line of text.replace(/^;.*\n/gm, "").replace(/\n[ \t]+/g, " ").split("\n")) {
        const [, section] = /^\[(\w+)\]$/.exec(line) ?? [];
        const [, key, value] = /^(\w+)\s*=\s*(.*?)\s*(?:;.*)?$/.exec(line) ?? [];

        if (section) keys = found[section] ??= {};
        else if (key) keys[key] = value;
    }
    return found;
}

const peerFile = (peer, path) => join(unpacked(peer), path);

// ---- OpenSMTPD ----

// The libraries of a program, by the paths that it will look for them at.
const librariesOf = (program) => [...execFileSync("ldd", [program]).toString().matchAll(/(?:=> |^\s+)(\/\S+) \(/gm)].map((m) => m[1]);

// Its paths are compiled in: it gets a tree of its own to run in, with what it needs and nothing else.
function opensmtpdTree(dir, config) {
    const copy = (from, to) => {
        mkdirSync(dirname(join(dir, to)), { recursive: true });
        copyFileSync(from, join(dir, to));
    };
    const helpers = [["opensmtpd", "mail.mda"], ["opensmtpd-filter-rspamd", "filter-rspamd"]];
    const programs = [[peerFile("opensmtpd", "usr/sbin/smtpd"), "usr/sbin/smtpd"], [peerFile("opensmtpd", "usr/sbin/smtpctl"), "usr/sbin/smtpctl"],
        ["/bin/sh", "bin/sh"], ...helpers.map(([peer, name]) => [peerFile(peer, `usr/libexec/opensmtpd/${name}`), `usr/libexec/opensmtpd/${name}`])];

    for (const [from, to] of programs) {
        copy(from, to);
        for (const library of librariesOf(from)) if (!existsSync(join(dir, library))) copy(library, library);
    }
    for (const file of ["passwd", "group", "hosts"]) copy(`/etc/${file}`, `etc/${file}`);
    for (const folder of ["dev", "tmp", "var/run", "var/lib/opensmtpd/empty", "var/spool/smtpd"]) mkdirSync(join(dir, folder), { recursive: true });
    chmodSync(join(dir, "var/spool/smtpd"), 0o711);
    for (const [name, minor] of [["null", "3"], ["urandom", "9"]]) execFileSync("mknod", ["-m", "666", join(dir, "dev", name), "c", "1", minor]);
    writeFileSync(join(dir, "etc/mailname"), "mx.example\n");
    writeFileSync(join(dir, "etc/resolv.conf"), "");
    writeFileSync(join(dir, "etc/smtpd.conf"), config, { mode: 0o600 });
}

// OpenSMTPD 6.8 with filter-rspamd: { port, log(), stop() }. config: a whole smtpd.conf that listens on `port`.
export async function startOpensmtpd({ port, config }) {
    const dir = tempDir("opensmtpd");

    opensmtpdTree(dir, config);
    const server = await start("opensmtpd", "chroot", [dir, "/usr/sbin/smtpd", "-d", "-v"], { dir, ready: () => canConnect(port) });
    return { port, dir, log: () => server.log(), stop: async () => { await server.stop(); removeDir(dir); } };
}

// ---- spamass-milter ----

// spamass-milter 0.4: { port, log(), stop() }. options: its own and, after "--", those of spamc, as in OPTIONS of
// /etc/default/spamass-milter.
export async function startSpamassMilter({ options }) {
    const dir = tempDir("spamass-milter"), port = await freePort(), user = "spamass-milter";

    chownSync(dir, userOf(user).uid, userOf(user).gid);
    const server = await start("spamass-milter", peerFile("spamass-milter", "usr/sbin/spamass-milter"),
        ["-p", `inet:${port}@127.0.0.1`, ...options.split(/\s+/)], { dir, cwd: dir, user, ready: () => canConnect(port) });
    return { port, log: () => server.log(), stop: async () => { await server.stop(); removeDir(dir); } };
}

// ---- Dovecot ----

// Dovecot's authentication protocol, for one password, "secret": { port, stop() }.
export function startAuth() {
    const server = createServer((socket) => {
        let rest = "";
        socket.write(`VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t${"0".repeat(32)}\nDONE\n`);
        socket.on("error", () => { /* Postfix hung up */ });
        socket.on("data", (data) => {
            const lines = (rest + data).split("\n");
            rest = lines.pop();
            for (const line of lines) {
                const [, id, response] = /^AUTH\t(\d+)\tPLAIN\t.*resp=(\S+)/.exec(line) ?? [];
                if (!id) continue;
                const [, user, password] = Buffer.from(response, "base64").toString().split("\0");
                socket.write(password === "secret" ? `OK\t${id}\tuser=${user}\n` : `FAIL\t${id}\tuser=${user}\n`);
            }
        });
    });
    return new Promise((done) => server.listen(0, "127.0.0.1", () => { server.unref(); done({ port: server.address().port, stop: () => server.close() }); }));
}

// ---- Dovecot's delivery agent ----

// Dovecot 2.3 as the end of a delivery: a program that Postfix's pipe(8) calls with the arguments of dovecot-lda, and
// that delivers into Maildirs: { agent, mailbox(address, folder) => [message …], imap(address, commands), log(), remove() }.
//   config   the recipe's lines of dovecot.conf, by a function that is given one: path("junk.sieve") is where that lies
//   files    { "junk.sieve": text, "bin/postern": text } beside it; what is in bin/ can be executed
export function makeDovecotAgent({ config, files }) {
    const dir = tempDir("dovecot"), user = userOf("vmail");
    const own = (...path) => join(dir, ...path);
    const libraries = [peerFile("dovecot-core", "usr/lib/dovecot"), peerFile("dovecot-sieve", "usr/lib/dovecot")];

    for (const folder of ["bin", "mail", "modules", "sieve", "run"]) mkdirSync(own(folder));
    for (const [from, to] of [["", "modules"], ["sieve", "sieve"]]) {
        const modules = join(libraries[1], "modules", from);
        for (const file of readdirSync(modules)) if (file.endsWith(".so")) symlinkSync(join(modules, file), own(to, file));
    }
    for (const [name, text] of Object.entries(typeof files === "function" ? files(own) : files)) writeFileSync(own(name), text, { mode: name.startsWith("bin/") ? 0o755 : 0o644 });
    writeFileSync(own("dovecot.conf"), `base_dir = ${own("run")}
state_dir = ${own("run")}
mail_plugin_dir = ${own("modules")}
import_environment = TZ LD_LIBRARY_PATH USER HOME
log_path = ${own("mail/log")}
info_log_path = ${own("mail/log")}
ssl = no
mail_location = maildir:${own("mail")}/%u
first_valid_uid = 1
hostname = mx.example
${config(own)}
plugin {
  sieve_plugin_dir = ${own("sieve")}
}
`);
    // -d wants a user database; here a mailbox is a folder, and the environment names it.
    writeFileSync(own("bin/dovecot-lda"), `#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in
    -d) USER=$2 ;;
    -f) sender=$2 ;;
    -a) rcpt=$2 ;;
    esac
    shift
done
HOME=${own("mail")}/$USER LD_LIBRARY_PATH=${libraries.join(":")}
export USER HOME LD_LIBRARY_PATH
exec ${peerFile("dovecot-core", "usr/bin/doveconf")} -c ${own("dovecot.conf")} -m lda -f service=lda -f protocol=lda \\
    -e ${join(libraries[0], "dovecot-lda")} -e -f "$sender" -a "$rcpt"
`, { mode: 0o755 });
    for (const folder of ["mail", "run", "."]) chownSync(own(folder), user.uid, user.gid);
    // What an IMAP client says, line by line, to the server's process for somebody who is signed in: all that it was answered.
    const imap = (address, commands) => new Promise((done, failed) => {
        const child = spawn(peerFile("dovecot-core", "usr/bin/doveconf"),
            ["-c", own("dovecot.conf"), "-m", "imap", "-f", "service=imap", "-f", "protocol=imap", "-e", peerFile("dovecot-imapd", "usr/lib/dovecot/imap")],
            { uid: user.uid, gid: user.gid, cwd: dir, env: { PATH: process.env.PATH, USER: address, HOME: own("mail", address), LD_LIBRARY_PATH: libraries.join(":") } });
        let text = "", at = -1;
        const next = () => (++at < commands.length ? child.stdin.write(`t${at} ${commands[at]}\r\n`) : child.stdin.end());

        child.stdout.on("data", (bytes) => {
            text += bytes;
            if (at < 0 ? text.includes("* PREAUTH") : new RegExp(`^t${at} `, "m").test(text)) next();
        });
        child.stderr.on("data", (bytes) => { text += bytes; });
        child.on("error", failed);
        child.on("close", () => done(text));
    });
    return {
        imap, own,
        dir, agent: own("bin/dovecot-lda"),
        log: () => (existsSync(own("mail/log")) ? readFileSync(own("mail/log"), "utf8") : ""),
        mailbox: (address, folder = "") => {
            const box = own("mail", address, folder ? `.${folder}` : "", "new");
            return existsSync(box) ? readdirSync(box).map((file) => readFileSync(join(box, file), "utf8")) : [];
        },
        remove: () => removeDir(dir),
    };
}
