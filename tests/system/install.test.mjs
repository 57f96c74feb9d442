// docs/install.md, command by command, on a machine of its own: the folders that it changes are overlays in a mount namespace, so
// that /etc, /usr/local, /var/lib and /root of this machine stay as they are.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";

import { canConnect, freePort, ini, makeSite, removeDir, root, run, start, tempDir, waitFor } from "./lib/index.mjs";

const out = resolve(root, process.env.OUT || "build");
const page = readFileSync(join(root, "docs/install.md"), "utf8");
const OVERLAID = ["/etc", "/usr/local", "/var/lib", "/root"];

// The commands of a section: those between its fences.
function commands(section) {
    const text = page.split(/^## /m).find((s) => s.startsWith(section));

    assert.ok(text, section);
    return [...text.matchAll(/^```\n([^]*?)^```/gm)].flatMap((m) => m[1].trim().split("\n"));
}

// What systemd would do with a unit: its folder in /run, its user, its ExecStart, and whether it came up.
const systemctl = (port) => `#!/bin/bash
verb=$1; shift; [ "$1" = --now ] && shift
[ $verb = daemon-reload ] && exit 0
unit=/usr/local/lib/systemd/system/$1.service
if [ $verb != start ] && [ -f /run/$1.pid ]; then
    kill $(cat /run/$1.pid); while kill -0 $(cat /run/$1.pid) 2>/dev/null; do sleep 0.05; done; rm /run/$1.pid
fi
case $verb in stop|disable) exit 0;; esac
user=$(sed -n 's/^User=//p' $unit); start=$(sed -n 's/^ExecStart=//p' $unit)
install -d -o $user -g $user /run/postern
(umask 0077; exec setpriv --reuid $user --regid $user --clear-groups --no-new-privs $start </dev/null >>/run/$1.log 2>&1) &
echo $! > /run/$1.pid
for i in $(seq 200); do
    (exec 3<>/dev/tcp/127.0.0.1/${port}) 2>/dev/null && exit 0
    kill -0 $! 2>/dev/null || break; sleep 0.05
done
cat /run/$1.log; exit 1
`;

let dir, machine, possible, spamd, http;

// A shell on that machine. type() gives what a command says, and fails unless it succeeds.
function boot() {
    const mounts = OVERLAID.map((at) => {
        const [upper, work] = ["u", "w"].map((x) => join(dir, x + at.replaceAll("/", "_")));
        for (const d of [upper, work]) mkdirSync(d);
        return `mount -t overlay overlay -o lowerdir=${at},upperdir=${upper},workdir=${work} ${at}`;
    });
    const shell = spawn("unshare", ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash"], {
        cwd: root, env: { ...process.env, PATH: `${join(dir, "bin")}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`, LC_ALL: "C.UTF-8", BUILD: out },
    });
    let text = "", told = () => {};

    for (const s of [shell.stdout, shell.stderr]) s.on("data", (d) => { text += d; told(); });
    const attempt = async (line) => {
        text = "";
        shell.stdin.write(`{ ${line}\n} 2>&1 </dev/null; echo "@@$?"\n`);
        while (!/@@\d+\n$/.test(text)) {
            await new Promise((done, gone) => { told = done; shell.once("exit", () => gone(new Error(`the machine is gone: ${text}`))); });
            shell.removeAllListeners("exit");
        }
        const [, said, code] = /^([^]*?)@@(\d+)\n$/.exec(text);
        return { code: Number(code), said };
    };
    return {
        attempt,
        up: () => attempt([...mounts, "mount -t tmpfs tmpfs /run"].join(" && ")),
        type: async (line) => {
            const { code, said } = await attempt(line);
            assert.equal(code, 0, `${line}\n${said}`);
            return said;
        },
        off: () => new Promise((done) => { shell.removeAllListeners("exit"); shell.once("exit", done); shell.stdin.end(); }),
    };
}

// As the page has it, with the build of these tests and its ports. What the machine has already is not installed again.
const own = (line) => line.replace(/^build\//, `${out}/`).replace(/^make /, `make -s BUILD=${out} `);
async function follow(section) {
    const said = {};

    for (const line of commands(section)) {
        if (line === "make" || line === "make deps") continue; /* how these programs came to be */
        said[line] = line === "postern doctor" ? (await machine.attempt(line)).said : await machine.type(own(line));
    }
    return said;
}
const owner = async (path) => (await machine.type(`stat -c '%U:%G %a' ${path}`)).trim();

before(async () => {
    dir = tempDir("install");
    [spamd, http] = [await freePort(), await freePort()];
    mkdirSync(join(dir, "bin"));
    writeFileSync(join(dir, "bin/systemctl"), systemctl(spamd));
    chmodSync(join(dir, "bin/systemctl"), 0o755);
    if (process.getuid() !== 0 || (await run("getent", ["passwd", "postern"])).code === 0) return;
    machine = boot();
    possible = (await machine.up().catch(() => ({ code: 1 }))).code === 0;
});
after(async () => { await machine?.off(); removeDir(dir); });

const here = { get skip() { return possible ? false : "needs root, namespaces and overlays, and a machine without a user postern"; } };
const step = (name, fn) => test(name, async (t) => { if (here.skip) t.skip(here.skip); else await fn(t); });

// The installed portal with the installed pages: both are found where they were put.
async function portalRuns(prefix) {
    const site = await makeSite();
    const port = await freePort();
    const web = join(prefix, "share/postern/web");
    let portal;

    try {
        await site.must("init");
        site.configure({ portal: { listen: `127.0.0.1:${port}`, public_url: `http://127.0.0.1:${port}`, web, modules: join(web, "modules") } });
        portal = await start("portal", join(prefix, "bin/postern-portal"), ["-c", site.conf], { dir: site.dir, ready: () => canConnect(`127.0.0.1:${port}`) });
        const page = await (await fetch(`http://127.0.0.1:${port}/`)).text();
        const [, app] = /src="([^"]*app\.js)"/.exec(page);
        assert.equal((await fetch(`http://127.0.0.1:${port}${app}`)).status, 200);
        assert.equal((await fetch(`http://127.0.0.1:${port}${app.replace("app.js", "modules/preact.js")}`)).status, 200);
    } finally {
        await portal?.stop();
        site.remove?.();
    }
}

test("make install puts its files below DESTDIR, none of them for a user of ours, and uninstall takes them all", async () => {
    const tree = join(dir, "tree");
    const all = () => readdirSync(tree, { recursive: true }).map((f) => join(tree, f));
    const make = async (what) => { const r = await run("make", ["-s", `BUILD=${out}`, what, `DESTDIR=${tree}`, "PREFIX=/usr"], { cwd: root }); assert.equal(r.code, 0, r.stdout + r.stderr); };

    await make("install");
    for (const f of ["bin/postern", "bin/postern-rulesd", "bin/postern-trainer", "share/man/man1/postern.1", "share/man/man5/postern.conf.5",
        "share/man/man8/postern-rulesd.8", "bin/postern-portal", "share/man/man8/postern-portal.8", "lib/systemd/system/postern-portal.service",
        ...["index.html", "app.js", "pages/mail.js", "words/de.js", "modules/htm/preact/standalone.module.js", "modules/htm/LICENSE"].map((f) => `share/postern/web/${f}`), "share/doc/postern/postern.conf", "share/doc/postern/docs/install.md", "lib/systemd/system/postern-rulesd.service",
        "share/doc/postern/examples/rspamd-proxy/main.cf"]) assert.ok(existsSync(join(tree, "usr", f)), f);
    for (const f of all()) assert.equal(lstatSync(f).uid, process.getuid(), f);
    assert.deepEqual(readdirSync(tree), ["usr"], "no settings, no data");
    assert.ok(!existsSync(join(tree, "usr/share/postern/web/node_modules")) && !existsSync(join(tree, "usr/share/postern/web/package.json")), "what only building needs");
    await portalRuns(join(tree, "usr"));
    assert.match(readFileSync(join(tree, "usr/lib/systemd/system/postern-rulesd.service"), "utf8"), /^ExecStart=\/usr\/bin\/postern-rulesd /m);
    await make("uninstall");
    assert.deepEqual(all().filter((f) => !lstatSync(f).isDirectory()), []);
});

step("it is installed, and the folders belong to whom the page says", async () => {
    await follow("Build and install");
    assert.match(await machine.type("cat /usr/local/lib/systemd/system/postern-rulesd.service"), /^ExecStart=\/usr\/local\/bin\/postern-rulesd /m);
    await follow("User and folders");
    for (const [, path, user, mode] of page.matchAll(/^\| `(\/(?:etc|var)[^`]*)` \| ([\w:]+), 0(\d+) \|/gm)) {
        if (path.endsWith("/quarantine")) continue; /* made at the first start */
        assert.equal(await owner(path), `${user.includes(":") ? user : `${user}:${user}`} ${mode}`, path);
    }
    for (const f of ["postern.db", "log.db"]) assert.equal(await owner(`/var/lib/postern/${f}`), "postern:postern 600");
    assert.doesNotMatch(await machine.type("find /etc/postern/keys /var/lib/postern ! -user postern"), /./);
    const before = await machine.type("ls -lR --time-style=full-iso /etc/postern");
    await machine.type("postern init --user postern");
    assert.equal(await machine.type("ls -lR --time-style=full-iso /etc/postern"), before, "run again it changes nothing");
});

step("its unit starts, and what root does later belongs to its user too", async () => {
    await machine.type(`cat >> /etc/postern/postern.conf <<'END'\n${ini({ rulesd: { listen_spamd: `127.0.0.1:${spamd}`, listen_http: [`127.0.0.1:${http}`, "unix:/run/postern/http.sock?discards=on"],
        mta_users: "root" }, quarantine: { min_free: "1M" } })}END`);
    const said = await follow("Start it");
    const wrong = said["postern doctor"].split("\n").filter((l) => l.startsWith("wrong"));
    assert.equal(wrong.filter((l) => !/^wrong +envelope +no message with a recipient came in/.test(l)).length, 0, said["postern doctor"]);
    assert.match(said["postern doctor"], /^ok +owners +\d+ files and folders belong to postern$/m);
    assert.equal(await owner("/var/lib/postern/quarantine"), "postern:postern 700");

    await machine.type("postern key rotate");
    await machine.type("postern quarantine list");
    assert.doesNotMatch(await machine.type("find /etc/postern/keys /var/lib/postern ! -user postern"), /./);
});

step("postern doctor finds what belongs to somebody else, or is open to others, and its cure mends it", async () => {
    const doctor = async () => (await machine.attempt("postern doctor")).said.split("\n").filter((l) => /^(wrong|ok) +owners/.test(l)).join("\n");

    await machine.type("chown -R root:root /etc/postern/keys");
    assert.match(await doctor(), /^wrong +owners +\/etc\/postern\/keys belongs to root, and the programs' user is postern$/);
    await machine.type("postern init --user postern");
    assert.match(await doctor(), /^ok /);
    await machine.type("chmod 0644 /var/lib/postern/postern.db");
    assert.match(await doctor(), /^wrong +owners +\/var\/lib\/postern\/postern.db has mode 0644$/);
    await machine.type("chmod 0600 /var/lib/postern/postern.db");
    await machine.type("chown -R nobody /var/lib/postern/quarantine");
    assert.match(await doctor(), /^wrong +owners +\/var\/lib\/postern\/quarantine belongs to nobody/);
    assert.match((await machine.attempt("postern init --user postern")).said, /belongs to neither root nor postern/);
    await machine.type("chown -R postern /var/lib/postern/quarantine");
    assert.match((await machine.attempt("postern init --user nobody-of-that-name")).said, /there is no user nobody-of-that-name/);
});

const hold = "curl -s -H 'Rcpt: anna@ours.example' -H 'From: a@casino.example' -H 'Queue-Id: 4jX1' -H 'IP: 192.0.2.1' --data-binary $'From: a@casino.example\\nSubject: lottery\\n\\nYou have won.\\n'";

step("an upgrade asks first, and mail is held", async () => {
    await machine.type("postern domain set ours.example --at-block quarantine");
    await machine.type("postern rule add --scope domain:ours.example block --sender casino.example");
    const said = await follow("Upgrade");
    assert.match(said["build/postern migrate --check"], /main .*database at \d+/);
    await machine.type(`${hold} --unix-socket /run/postern/http.sock http://postern/checkv2`);
    await waitFor("its row", async () => /lottery/.test(await machine.type("postern quarantine list")));
});

step("a backup brings it all back on an empty disk", async () => {
    await follow("Backup");
    const held = await machine.type("postern quarantine list");
    await machine.type("rm -rf /var/lib/postern/* /etc/postern/keys");
    await follow("Restore");
    assert.equal(await machine.type("postern quarantine list"), held);
    assert.match(await machine.type("postern rule list --scope domain:ours.example"), /casino\.example|block/);
    assert.doesNotMatch(await machine.type("find /etc/postern/keys /var/lib/postern ! -user postern"), /./);
    assert.match(await machine.type("setpriv --reuid postern --regid postern --clear-groups postern quarantine verify --open"), /./);
});

step("taken out, nothing of it is left", async () => {
    await follow("Take it out");
    assert.notEqual((await machine.attempt("getent passwd postern || ls /etc/postern || ls /var/lib/postern")).code, 0);
    assert.doesNotMatch(await machine.type("find /usr/local -iname '*postern*'"), /./);
});
