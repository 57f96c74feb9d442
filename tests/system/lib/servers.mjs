// PostgreSQL and Redis, each in a folder and on a port of its own, thrown away afterwards.
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

import { canConnect, freePort, isRoot, must, removeDir, run, start, tempDir, userOf, waitFor } from "./process.mjs";

function newestPostgres() {
    const base = "/usr/lib/postgresql";
    const versions = readdirSync(base).filter((v) => /^\d+$/.test(v)).sort((a, b) => b - a);

    return join(base, versions[0], "bin");
}

const own = (user, ...paths) => { if (user) for (const path of paths) chownSync(path, userOf(user).uid, userOf(user).gid); };

// Many files run one after the other: the first of them makes a cluster in the folder $POSTGRES_CLUSTER, for all to copy.
async function makeCluster(bin, data, user) {
    const init = (where) => must(join(bin, "initdb"), ["-D", where, "-U", "postern", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"], { user, cwd: "/" });
    const shared = process.env.POSTGRES_CLUSTER, whole = shared && join(shared, "system");

    if (!shared) return init(data);
    if (!existsSync(whole)) {
        const begun = mkdtempSync(join(shared, "begun-"));

        own(user, shared, begun);
        await init(begun);
        try { renameSync(begun, whole); } catch { rmSync(begun, { recursive: true }); } // another was quicker
    }
    return must("cp", ["-a", `${whole}/.`, data]);
}

// { port, url, createDatabase(name) => url, psql(sql, database), stop(), kill(), restart() }. Nothing is synced to disk.
export async function startPostgres({ settings = {} } = {}) {
    const dir = tempDir("pg"), data = join(dir, "data"), bin = newestPostgres();
    const user = isRoot ? "postgres" : undefined;
    const port = await freePort();
    const fast = { fsync: "off", synchronous_commit: "off", full_page_writes: "off", ...settings };
    const args = ["-D", data, "-h", "127.0.0.1", "-p", String(port), "-k", dir,
        ...Object.entries(fast).flatMap(([key, value]) => ["-c", `${key}=${value}`])];
    let server;

    mkdirSync(data, { mode: 0o700 });
    own(user, dir, data);
    await makeCluster(bin, data, user);
    const up = async () => {
        server = await start("postgres", join(bin, "postgres"), args, {
            dir, user, cwd: dir,
            ready: async () => (await run(join(bin, "pg_isready"), ["-q", "-h", "127.0.0.1", "-p", String(port)])).code === 0,
        });
    };
    const psql = (sql, database = "postern") =>
        must(join(bin, "psql"), ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", String(port), "-U", "postern", database],
            { input: sql });
    const url = (database) => `postgresql://postern@127.0.0.1:${port}/${database}`;

    await up();
    await psql("CREATE DATABASE postern", "postgres");
    return {
        port, dir, url: url("postern"), psql,
        createDatabase: async (name) => { await psql(`CREATE DATABASE "${name}"`, "postgres"); return url(name); },
        log: () => server.log(),
        kill: () => server.kill(),                          // as when it crashes; restart() brings it back
        restart: async () => { await server.stop("SIGINT"); await up(); },
        stop: async () => { await server.stop("SIGINT"); removeDir(dir); },
    };
}

// { port, url, cli(...args), stop(), kill(), restart() }.
export async function startRedis() {
    const dir = tempDir("redis"), port = await freePort();
    let server;
    const cli = async (...args) => (await must("redis-cli", ["-p", String(port), ...args])).trim();
    const up = async () => {
        server = await start("redis", "redis-server",
            ["--port", String(port), "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no"],
            { dir, ready: () => canConnect(port) });
        await waitFor("Redis to answer", async () => (await run("redis-cli", ["-p", String(port), "ping"])).stdout === "PONG\n");
    };

    await up();
    return {
        port, url: `redis://127.0.0.1:${port}/0`, cli,
        kill: () => server.kill(),
        restart: async () => { await server.stop(); await up(); },
        stop: async () => { await server.stop(); removeDir(dir); },
    };
}
