// Rspamd and spamd as lean as they can be made: they do what the bench's rules say, and nothing else.
import { chownSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { freePort, http, must, rspamdBasics, startRspamd, startSpamd, tempDir, userOf, waitFor } from "../system/lib/index.mjs";


// The worker processes of a server, by the parent's pid.
export function children(pid) {
    return readdirSync("/proc").filter((p) => /^\d+$/.test(p)).map(Number).filter((p) => {
        try { return Number(readFileSync(`/proc/${p}/stat`, "utf8").replace(/.*\) /s, "").split(" ")[1]) === pid; } catch { return false; }
    });
}

// Rspamd with multimap alone. maps: { sender, domain, ip, subject }: lines "recipient domain|value". lua: { contains, regexes, files }.
export async function startBenchRspamd(maps = {}, lua) {
    const dir = tempDir("bench-rspamd");
    const user = userOf("_rspamd");
    const selectors = { sender: "rcpts:domain.first;from('smtp'):addr", domain: "rcpts:domain.first;from('smtp'):domain", ip: "rcpts:domain.first;ip", subject: "rcpts:domain.first;header('Subject').lower" };
    const rules = [];

    for (const [kind, lines] of Object.entries(maps)) {
        const path = join(dir, `${kind}.map`);
        writeFileSync(path, `${lines.join("\n")}\n`);
        rules.push(`BENCH_${kind.toUpperCase()} { type = "selector"; selector = "${selectors[kind]}"; delimiter = "|"; map = "${path}"; score = 100.0; }`);
    }
    if (lua) {
        for (const [kind, lines, type] of [["contains", lua.contains.map((t) => `/${t}/i`), "content"], ["regexes", lua.regexes.map((t) => `/${t}/i`), "content"], ["files", lua.files.map((t) => `/^${t.replace(/[.]/g, "\\.").replace(/[*]/g, ".*")}$/i`), "filename"]]) {
            const path = join(dir, `${kind}.map`);
            writeFileSync(path, `${lines.join("\n")}\n`);
            rules.push(`BENCH_${kind.toUpperCase()} { type = "${type}"; ${type === "content" ? 'filter = "text";' : ""} regexp = true; map = "${path}"; score = 100.0; }`);
        }
    }
    writeFileSync(join(dir, "globals.lua"), 'require "global_functions" ()\nconfig["regexp"] = {}\nrspamd_maps = {}\n');
    chownSync(dir, user.uid, user.gid);
    const port = await freePort();
    const server = await startRspamd("rspamd", dir, `lua = "${dir}/globals.lua";
${rspamdBasics(dir).replace('level = "info"', 'level = "error"').replace("options {", 'options { filters = ""; ')}
worker "normal" { bind_socket = "127.0.0.1:${port}"; count = 2; mime = true; }
actions { reject = 15; "add header" = 6; greylist = null; }
modules { path = "$PLUGINSDIR/multimap.lua"; }
multimap {
${rules.join("\n")}
}
`, [port]);
    const known = Object.entries(maps)[0]?.[1].at(-1)?.split("|");
    await waitFor("Rspamd's maps to be read", async () => {
        const { text } = await http(port, { headers: known ? { From: known[1], Rcpt: `anna@${known[0]}` } : {}, body: "From: a@b.example\r\nSubject: x\r\n\r\nwire the money today\r\n" });
        return text.includes("BENCH_");
    }, { seconds: 60 });
    return { ...server, port, pids: async () => children(server.pid) };
}

// spamd with no rules of its own, preferences per domain from SQL.
export async function startBenchSpamd(prefs) {
    const dir = tempDir("bench-spamd"), db = join(dir, "prefs.db"), empty = join(dir, "rules");
    const user = userOf("debian-spamd");

    mkdirSync(empty);
    writeFileSync(join(empty, "10_bench.cf"), [
        "loadplugin Mail::SpamAssassin::Plugin::Check", "loadplugin Mail::SpamAssassin::Plugin::WLBLEval",
        "header USER_IN_BLOCKLIST eval:check_from_in_blocklist()", "score USER_IN_BLOCKLIST 100",
        "header USER_IN_WELCOMELIST eval:check_from_in_welcomelist()", "score USER_IN_WELCOMELIST -100", ""].join("\n"));
    await must("sqlite3", [db], { input: `CREATE TABLE p(username TEXT, preference TEXT, value TEXT); CREATE INDEX i ON p(username); BEGIN;
${prefs.map((r) => `INSERT INTO p VALUES(${r.map((v) => `'${v}'`).join(",")});`).join("\n")} COMMIT;` });
    for (const path of [dir, db]) chownSync(path, user.uid, user.gid);
    const server = await startSpamd({
        rules: empty,
        local: [`user_scores_dsn DBI:SQLite:dbname=${db}`,
            "user_scores_sql_custom_query SELECT preference, value FROM p WHERE username = '%' || _DOMAIN_", "skip_rbl_checks 1", "dns_available no"].join("\n"),
        args: ["-q", "-u", "debian-spamd", "--min-children", "2", "--max-children", "2", "--max-conn-per-child", "1000000"],
    });
    await waitFor("spamd's children", () => children(server.pid).length >= 2);
    return { ...server, pids: async () => children(server.pid) };
}

