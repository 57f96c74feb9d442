// The mail software of others, as Debian ships it, unpacked by tests/peers and run in a folder of its own.
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { canConnect, freePort, groupOf, isRoot, removeDir, root, run, start, tempDir, userOf, waitFor } from "./process.mjs";

const readText = (path) => readFileSync(path, "utf8");

// Where a peer lies. Peers run as users of their own: if those may not come here (a clone below /root, say), that is a
// copy, made once a process.
const fetched = join(root, "tests/.peers"), copies = new Map();
const open = !isRoot || spawnSync("test", ["-r", join(fetched, "complete")], userOf("nobody")).status === 0;

export function unpacked(name) {
    if (open) return join(fetched, name);
    if (!copies.has(name)) {
        const copy = join(tempDir("peer"), name);
        execFileSync("cp", ["-a", join(fetched, name), copy]);
        copies.set(name, copy);
    }
    return copies.get(name);
}

// Why a client or server of theirs cannot run here, or undefined: `test("…", { skip: cannot("exim4-daemon-heavy") }, …)`.
export function missing(...peers) {
    const names = peers.filter((p) => !existsSync(join(fetched, p)));
    return names.length > 0 ? `not unpacked by tests/peers: ${names.join(", ")}` : undefined;
}

export const cannot = (...peers) => (isRoot ? missing(...peers) : "an MTA of its own needs root");

// ---- Clients ----

// Debian's spamc: { code, stdout, stderr, output }.
export const spamc = (args, input, options) => run("spamc", args, { input, ...options });

const rspamdEnv = () => ({ LD_LIBRARY_PATH: join(unpacked("rspamd"), "usr/lib/rspamd") });

// rspamc of Rspamd 3.4, asking host:port: rspamc(11344, ["symbols", "--rcpt", "a@b"], message).
export const rspamc = (port, args, input, options) =>
    run(join(unpacked("rspamd"), "usr/bin/rspamc"), ["-h", `127.0.0.1:${port}`, ...args], { input, ...options, env: { ...rspamdEnv(), ...options?.env } });

// ---- Rspamd ----

export async function startRspamd(name, dir, config, ports, { user, seconds = 180 } = {}) {
    const share = join(unpacked("rspamd"), "usr/share/rspamd");
    const file = join(dir, "test.conf");
    const vars = {
        LUALIBDIR: join(share, "lualib"), PLUGINSDIR: join(share, "plugins"), SHAREDIR: share,
        RULESDIR: join(share, "rules"), WWWDIR: join(share, "www"), CONFDIR: join(unpacked("rspamd"), "etc/rspamd"),
        LOCAL_CONFDIR: dir, DBDIR: dir, RUNDIR: dir, LOGDIR: dir,
    };

    writeFileSync(file, config);
    writeFileSync(join(dir, "tld"), "com\nnet\norg\nde\nco.uk\nexample\ntest\n");
    if (isRoot) for (const path of [dir, file]) chownSync(path, userOf("_rspamd").uid, userOf("_rspamd").gid);
    const server = await start(name, join(unpacked("rspamd"), "usr/bin/rspamd"), [
        "-f", ...(isRoot ? ["-u", user ?? "_rspamd", "-g", user ?? "_rspamd"] : ["-i"]), "-c", file,
        ...Object.entries(vars).map(([key, value]) => `--var=${key}=${value}`),
    ], {
        dir, env: rspamdEnv(), seconds, patience: 2, // busy compiling, it does not hear
        ready: async () => { for (const port of ports) if (!await canConnect(port)) return false; return true; },
    });
    return { dir, pid: server.pid, log: () => server.log(), stop: async () => { await server.stop(); removeDir(dir); } };
}

// Without url_tld it ends at once and does not say why; with the whole list it compiles for half a minute.
const rspamdOptions = (dir, records = []) => `pidfile = "${dir}/rspamd.pid"; tempdir = "${dir}"; hs_cache_dir = "${dir}";
  control_socket = "${dir}/control mode=0600"; url_tld = "${dir}/tld";
  dns { nameserver = "127.0.0.1:9"; timeout = 0.1s; retransmits = 1; ${records.length > 0 ? `fake_records = ${JSON.stringify(records)};` : ""} }`;

export const rspamdBasics = (dir) => `
options { ${rspamdOptions(dir)} }
logging { type = "console"; level = "info"; }
lang_detection { languages = "${unpacked("rspamd")}/usr/share/rspamd/languages"; }
`;

// Rspamd's proxy in milter mode in front of something that speaks its HTTP: { port, log(), stop() }.
//   upstream  host:port, or unix:/path of rulesd      timeout, retries  as in the recipe
//   extra     further lines for the worker             user  who it runs as
export async function startRspamdProxy({ upstream, timeout = "15s", retries = 1, extra = "", user } = {}) {
    const dir = tempDir("rspamd-proxy"), port = await freePort();
    const hosts = typeof upstream === "number" ? `127.0.0.1:${upstream}` : upstream.replace(/^unix:/, "");
    const config = `${rspamdBasics(dir)}
worker "rspamd_proxy" {
  bind_socket = "127.0.0.1:${port}"; count = 1; milter = yes; timeout = ${timeout}; max_retries = ${retries}; spam_header = "X-Spam";
  ${extra}
  upstream "postern" { default = yes; self_scan = no; hosts = "${hosts}"; compression = no; }
}
`;
    return { port, ...await startRspamd("rspamd-proxy", dir, config, [port], { user }) };
}

// A real Rspamd with its own rules: { port (normal worker), controller, password, log(), stop() }.
//   local  { "actions.conf": "…" } what goes to local.d; "rspamd.local.lua" lies beside it
//   port   of the normal worker, where it has to be known before
//   controllerLines  further lines for the controller
//   ports  further ports that it opens, such as those of a proxy in local.d/worker-proxy.inc
export async function startRspamdScanner({ local = {}, redis, port, ports = [], records, controllerLines = "" } = {}) {
    const dir = tempDir("rspamd"), controller = await freePort();

    port ??= await freePort();
    const files = {
        "worker-normal.inc": `bind_socket = "127.0.0.1:${port}"; count = 1;`,
        "worker-controller.inc": `bind_socket = "127.0.0.1:${controller}"; count = 1; password = "secret"; enable_password = "secret"; ${controllerLines}`,
        "worker-proxy.inc": "enabled = false;",
        "worker-fuzzy.inc": "enabled = false;",
        "options.inc": rspamdOptions(dir, records),
        "logging.inc": 'type = "console"; level = "info";',
        ...(redis ? { "redis.conf": `servers = "127.0.0.1:${redis}";` } : {}),
        ...local,
    };

    for (const folder of ["local.d", "override.d", "maps.d", "plugins.d"]) mkdirSync(join(dir, folder));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name.endsWith(".lua") ? "." : "local.d", name), text);
    const server = await startRspamd("rspamd", dir, '.include "$CONFDIR/rspamd.conf"\n', [port, controller, ...ports]);
    return { port, controller, password: "secret", ...server };
}

// ---- SpamAssassin ----

// spamd 4.0 without network tests: { port, log(), stop() }. local: lines for local.cf; args: for spamd;
// rules: a folder to take instead of SpamAssassin's own rules and plugins; modules: packages of Perl modules of this processor's.
export async function startSpamd({ local = "", args = [], rules, modules = [] } = {}) {
    const dir = tempDir("spamd"), port = await freePort(), perl = join(unpacked("spamassassin"), "usr/share/perl5");
    const site = join(dir, "site");

    mkdirSync(site);
    mkdirSync(join(dir, "home"));
    writeFileSync(join(site, "local.cf"), `use_bayes 0\n${local}\n`);
    for (const plugins of rules ? [] : ["init.pre", "v310.pre", "v312.pre", "v320.pre"])
        if (existsSync(join(unpacked("spamassassin"), "etc/spamassassin", plugins)))
            writeFileSync(join(site, plugins), `include ${join(unpacked("spamassassin"), "etc/spamassassin", plugins)}\n`);
    const user = isRoot ? "debian-spamd" : undefined;
    if (user) for (const path of [dir, join(dir, "home")]) chownSync(path, userOf(user).uid, userOf(user).gid);
    const folder = modules.length > 0 ? execFileSync("perl", ["-MConfig", "-e", "print $Config{vendorarch}"]).toString() : "";
    const more = modules.flatMap((peer) => ["-I", join(unpacked(peer), folder)]);
    const server = await start("spamd", "perl", ["-T", "-I", perl, ...more, join(unpacked("spamd"), "usr/sbin/spamd"), "-L", "-x", "-4",
        "-i", "127.0.0.1", "-p", String(port), "-m", "2", "-s", "stderr", "--siteconfigpath", site,
        "--configpath", rules ?? join(unpacked("spamassassin"), "usr/share/spamassassin"), "-H", join(dir, "home"), ...args],
    { dir, user, cwd: dir, env: { PERL5LIB: perl, HOME: join(dir, "home") }, seconds: 180, ready: () => canConnect(port) });
    return { port, dir, pid: server.pid, log: () => server.log(), stop: async () => { await server.stop(); removeDir(dir); } };
}

// ---- Exim ----

// Exim 4.96 that takes mail on 127.0.0.1 and hands all of it to the sink: { port, dir, log(), mainlog(), stop() }.
//   sink     the port that mail is delivered to
//   main     further lines for the main section, such as spamd_address = …
//   data     lines of the ACL after DATA; a last `accept` is added
//   acls     further ACLs, whole
export async function startExim({ sink, main = "", data = "", acls = "" }) {
    const dir = tempDir("exim"), port = await freePort(), file = join(dir, "exim.conf");
    const exim = join(unpacked("exim4-daemon-heavy"), "usr/sbin/exim4");
    const { uid, gid } = userOf("Debian-exim");

    for (const folder of ["spool", "log"]) { mkdirSync(join(dir, folder)); chownSync(join(dir, folder), uid, gid); }
    writeFileSync(file, `
primary_hostname = mx.example
exim_path = ${exim}
spool_directory = ${dir}/spool
log_file_path = ${dir}/log/%slog
pid_file_path = ${dir}/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = ${port}
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts =
never_users =
smtp_accept_max = 100
queue_run_in_order
message_size_limit = 60M
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data
${main}

begin acl
acl_rcpt:
  accept
acl_data:
${data}
  accept
${acls}

begin routers
sink:
  driver = manualroute
  route_list = * 127.0.0.1 byname
  self = send
  transport = sink

begin transports
sink:
  driver = smtp
  port = ${sink}
  hosts_try_fastopen =
  allow_localhost

begin retry
* * F,1h,5s
`);
    chmodSync(file, 0o644);
    const args = ["-C", file];
    const server = await start("exim", exim, [...args, "-bdf", "-q5s"], { dir, ready: () => canConnect(port) });
    const read = (name) => { const path = join(dir, "log", name); return existsSync(path) ? readText(path) : ""; };
    return {
        port, dir, log: () => server.log(), mainlog: () => read("mainlog"), rejectlog: () => read("rejectlog"), paniclog: () => read("paniclog"),
        exim: (...more) => run(exim, [...args, ...more]),
        stop: async () => { await server.stop(); removeDir(dir); },
    };
}

// ---- Postfix ----

const postfixServices = (port) => `
127.0.0.1:${port} inet n - n - - smtpd
pickup    unix n - n 60 1 pickup
cleanup   unix n - n -  0 cleanup
qmgr      unix n - n 300 1 qmgr
rewrite   unix - - n -  - trivial-rewrite
bounce    unix - - n -  0 bounce
defer     unix - - n -  0 bounce
trace     unix - - n -  0 bounce
verify    unix - - n -  1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n -  - proxymap
proxywrite unix - - n - 1 proxymap
smtp      unix - - n -  - smtp
relay     unix - - n -  - smtp
showq     unix n - n -  - showq
error     unix - - n -  - error
retry     unix - - n -  - error
discard   unix - - n -  - discard
virtual   unix - n n -  - virtual
lmtp      unix - - n -  - lmtp
anvil     unix - - n -  1 anvil
scache    unix - - n -  1 scache
postlog   unix-dgram n - n - 1 postlogd
`;

function postfixQueue(queue) {
    const { uid: owner, gid: group } = userOf("postfix"), postdrop = groupOf("postdrop");

    mkdirSync(queue);
    for (const name of ["incoming", "active", "deferred", "defer", "bounce", "hold", "corrupt", "flush", "trace", "saved", "private"]) {
        mkdirSync(join(queue, name), { mode: 0o700 });
        chownSync(join(queue, name), owner, group);
    }
    for (const [name, mode] of [["maildrop", 0o1730], ["public", 0o2710]]) {
        mkdirSync(join(queue, name));
        chownSync(join(queue, name), owner, postdrop);
        chmodSync(join(queue, name), mode);
    }
    mkdirSync(join(queue, "pid"));
}

// Postfix 3.7 that takes mail for any domain on 127.0.0.1 and relays it to the sink:
// { port, dir, maillog(), postfix(command, ...args), stop() }.
//   sink    the port that mail is relayed to
//   main    { key: value } further settings, such as smtpd_milters
//   master  further lines for master.cf; services' ports are the caller's business
export async function startPostfix({ sink, main = {}, master = "" }) {
    const dir = tempDir("postfix"), port = await freePort();
    const base = unpacked("postfix"), etc = join(dir, "etc"), queue = join(dir, "queue"), data = join(dir, "data");
    const env = { LD_LIBRARY_PATH: join(base, "usr/lib/postfix"), MAIL_CONFIG: etc };
    const settings = {
        compatibility_level: "3.6", queue_directory: queue, data_directory: data, meta_directory: etc,
        daemon_directory: join(base, "usr/lib/postfix/sbin"), command_directory: join(base, "usr/sbin"),
        shlib_directory: join(base, "usr/lib/postfix"), sendmail_path: join(base, "usr/sbin/sendmail"),
        mail_owner: "postfix", setgid_group: "postdrop",
        import_environment: "MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C LD_LIBRARY_PATH",
        maillog_file: join(dir, "mail.log"), maillog_file_prefixes: dir,
        inet_interfaces: "127.0.0.1", inet_protocols: "ipv4", mynetworks: "127.0.0.0/8", myhostname: "mx.example",
        mydestination: "", alias_maps: "", alias_database: "", local_recipient_maps: "", relay_domains: "static:all",
        relay_transport: `relay:[127.0.0.1]:${sink}`, default_transport: `smtp:[127.0.0.1]:${sink}`,
        smtp_dns_support_level: "disabled", smtpd_peername_lookup: "no", enable_long_queue_ids: "yes",
        smtpd_recipient_restrictions: "", smtpd_relay_restrictions: "permit_mynetworks, reject_unauth_destination",
        smtpd_authorized_xclient_hosts: "127.0.0.1", smtpd_authorized_xforward_hosts: "127.0.0.1",
        milter_default_action: "tempfail", milter_content_timeout: "30s", message_size_limit: "60000000", mailbox_size_limit: "0",
        queue_run_delay: "5s", minimal_backoff_time: "5s", smtpd_tls_security_level: "none", smtputf8_enable: "yes",
        ...main,
    };

    for (const folder of [etc, data]) mkdirSync(folder);
    chownSync(data, userOf("postfix").uid, userOf("postfix").gid);
    postfixQueue(queue);
    writeFileSync(join(etc, "main.cf"), Object.entries(settings).map(([key, value]) => `${key} = ${value}\n`).join(""));
    writeFileSync(join(etc, "master.cf"), postfixServices(port) + master);
    writeFileSync(join(etc, "dynamicmaps.cf"), `sqlite ${join(unpacked("postfix-sqlite"), "usr/lib/postfix/postfix-sqlite.so")} dict_sqlite_open\n`);
    const server = await start("postfix", join(settings.daemon_directory, "master"), ["-c", etc, "-d"], { dir, env, ready: () => canConnect(port) });
    const maillog = () => (existsSync(settings.maillog_file) ? readText(settings.maillog_file) : "");
    return {
        port, dir, maillog, log: () => server.log() + maillog(),
        // postfix("postqueue", "-j"), postfix("postsuper", "-d", "ALL"), …
        postfix: (command, ...args) => run(join(settings.command_directory, command), ["-c", etc, ...args], { env }),
        // The master alone, as `postfix reload` does it; done when it says so.
        reload: async () => {
            const before = maillog().length;
            process.kill(server.pid, "SIGHUP");
            await waitFor("the reload", () => maillog().slice(before).includes("reload -- version"));
        },
        stop: async () => { await server.stop(); removeDir(dir); },
    };
}
