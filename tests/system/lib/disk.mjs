// What a disk has of a folder at a power cut, told from what a program did there (tests/shim/disk.c writes that down).
//
// A file's content is on disk when nothing was written since it was synced; a name is, when its folder was synced since. Of what is
// not, a power cut takes everything: the worst that a disk may do.
import { existsSync, lstatSync, readdirSync, readFileSync, realpathSync, rmSync, truncateSync } from "node:fs";
import { dirname, join } from "node:path";

import { program } from "./postern.mjs";

const shim = program("shim/disk.so");

// The environment in which a program writes down what it does below `folder`, which exists.
export const recorded = (folder, log) => ({ LD_PRELOAD: shim, DISK_ROOT: realpathSync(folder), DISK_LOG: log });

export class Disk {
    // names: path -> inode, as programs see them; kept: the same, as the disk has them. An inode is { folder } or { dirty }.
    constructor() {
        this.names = new Map([[".", { folder: true }]]);
        this.kept = new Map(this.names);
    }

    // As a folder is at the start: all of it on disk.
    static of(folder) {
        const disk = new Disk();

        for (const path of readdirSync(folder, { recursive: true }))
            disk.names.set(path, { folder: lstatSync(join(folder, path)).isDirectory(), dirty: false });
        disk.kept = new Map(disk.names);
        return disk;
    }

    // One line of the record.
    apply(line) {
        const [op, path, to] = line.split(" ");
        const inode = this.names.get(path);

        switch (op) {
        case "create": this.names.set(path, { dirty: true }); break;
        case "write": if (inode) inode.dirty = true; break;
        case "sync": this.#sync(path, inode); break;
        case "mkdir": this.names.set(path, { folder: true }); break;
        case "link": if (inode) this.names.set(to, inode); break;
        case "rename":
            this.names.delete(path);
            if (inode) this.names.set(to, inode);
            break;
        case "unlink":
        case "rmdir":
            this.names.delete(path);
            this.kept.delete(path);
            break;
        }
        return op;
    }

    #sync(path, inode) {
        if (!inode?.folder) {
            if (inode) inode.dirty = false;
            return;
        }
        for (const [name] of this.kept) if (name !== "." && dirname(name) === path) this.kept.delete(name);
        for (const [name, one] of this.names) if (name !== "." && dirname(name) === path) this.kept.set(name, one);
    }

    // Would this file be there, whole, after a power cut now?
    has(path) {
        for (let up = dirname(path); up !== "."; up = dirname(up)) if (!this.kept.get(up)?.folder) return false;
        return this.kept.has(path) && !this.kept.get(path).dirty;
    }

    // Takes from the real folder what is not on disk: { names, contents } that went.
    cut(folder) {
        const gone = { names: 0, contents: 0 };

        for (const path of readdirSync(folder, { recursive: true })) {
            const real = join(folder, path), inode = this.kept.get(path);

            if (!existsSync(real)) continue; // below one that went
            if (inode === undefined) {
                rmSync(real, { recursive: true });
                gone.names++;
            } else if (inode.dirty) {
                truncateSync(real, 0);
                gone.contents++;
            }
        }
        return gone;
    }
}

export const linesOf = (log) => (existsSync(log) ? readFileSync(log, "utf8").split("\n").slice(0, -1) : []);

// Goes through a record: every reply must come when the object of its UID, if that was written at all, is on disk; and no file may
// get its name before its content is. Returns the faults, and the UIDs that were promised.
export function checkOrder(lines, disk = new Disk()) {
    const faults = [], promised = [], wrote = new Set();

    for (const [at, line] of lines.entries()) {
        const [op, path, to] = line.split(" ");

        if (op === "create" && path.startsWith("tmp/")) wrote.add(path.slice(4, 40));
        if (op === "rename" && disk.names.get(path)?.dirty) faults.push(`line ${at + 1}: ${path} is named before it is synced`);
        disk.apply(line);
        if (op !== "reply" || !wrote.has(path)) continue;
        const name = [...disk.names.keys()].find((one) => one.endsWith(path) && !one.startsWith("tmp/"));
        if (name === undefined) faults.push(`line ${at + 1}: replied before ${path} has its name`);
        else if (!disk.has(name)) faults.push(`line ${at + 1}: replied before ${name} is on disk`);
        else promised.push(path);
    }
    return { faults, promised };
}
