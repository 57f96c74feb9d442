// Our own programs, as built: rulesd with a folder, a settings file and listeners of its own.
import { writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join, resolve } from "node:path";

import { canConnect, freePort, removeDir, root, run, start, tempDir } from "./process.mjs";

const built = resolve(root, process.env.OUT || "build");
export const program = (name) => join(built, name);

// { section: { key: value } } as an INI file; lists become one item a line, so that no line is too long.
export function ini(sections) {
    return Object.entries(sections).map(([section, keys]) => `[${section}]\n${
        Object.entries(keys).map(([key, value]) => `${key} = ${Array.isArray(value) ? value.join(",\n    ") : value}\n`).join("")}`).join("\n");
}

// A folder with postern.conf: SQLite, quarantine and keys inside it; on TCP (class scan, unless mta_from says
// otherwise) and on Unix sockets (class mta, for the user who runs the tests).
export async function makeSite(config = {}) {
    const dir = tempDir("site");
    const site = {
        dir, conf: join(dir, "postern.conf"),
        spamd: await freePort(), http: await freePort(),
        spamdSock: join(dir, "spamd.sock"), httpSock: join(dir, "http.sock"),
    };
    const defaults = {
        store: { url: `sqlite:${join(dir, "postern.db")}` },
        quarantine: { url: `file:${join(dir, "quarantine")}`, keys: join(dir, "keys"), min_free: "1M" },
        rulesd: {
            listen_spamd: [`127.0.0.1:${site.spamd}`, `unix:${site.spamdSock}`],
            listen_http: [`127.0.0.1:${site.http}`, `unix:${site.httpSock}`],
            mta_users: userInfo().username, threads: 2,
        },
    };

    site.settings = defaults;
    for (const [section, keys] of Object.entries(config)) site.settings[section] = { ...defaults[section], ...keys };
    site.configure = (more = {}) => {
        for (const [section, keys] of Object.entries(more)) site.settings[section] = { ...site.settings[section], ...keys };
        writeFileSync(site.conf, ini(site.settings));
    };
    site.configure();
    // The command on this site: { code, stdout, stderr }. site.must(...) fails unless it succeeds, and gives stdout.
    site.postern = (args, options = {}) => run(program("postern"), ["-c", site.conf, ...args], options);
    site.must = async (...args) => {
        const options = typeof args.at(-1) === "object" ? args.pop() : {};
        const { code, stdout, stderr } = await site.postern(args, options);
        if (code !== 0) throw new Error(`postern ${args.join(" ")}: ended with ${code}\n${stdout}${stderr}`);
        return stdout;
    };
    site.remove = () => removeDir(dir);
    return site;
}

// A site with a running rulesd: all of makeSite(), and { pid, log(), hup(), stop(), kill(), restart() }.
//   config  settings by section, over those of makeSite()
//   init    run `postern init` first (default)
//   site    use this one instead (after restart with other settings, or two rulesd on one site)
//   env     further environment (sanitizer options …)
export async function startRulesd({ config = {}, init = true, site, env } = {}) {
    const own = site ?? await makeSite(config);
    let server;
    const up = async () => {
        server = await start("rulesd", program("postern-rulesd"), ["-c", own.conf], {
            dir: own.dir, env,
            ready: async () => {
                const all = [own.settings.rulesd.listen_spamd, own.settings.rulesd.listen_http].flat();
                for (const to of all) if (to !== "" && !await canConnect(to.split("?")[0])) return false;
                return true;
            },
        });
    };

    if (init) await own.must("init");
    await up();
    return Object.assign(own, {
        get pid() { return server.pid; },
        log: () => server.log(),
        hup: () => server.signal("SIGHUP"),
        kill: () => server.kill(),
        exit: () => server.exit,
        restart: async () => { await server.stop(); await up(); },
        stop: async () => { const code = await server.stop(); if (!site) own.remove(); return code; },
    });
}
