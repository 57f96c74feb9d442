// A wire that a test can cut: passes bytes on to a port, until it is told not to.
import { connect, createServer } from "node:net";

// { port, cut(), mend(), freeze(), stop() }. cut(): connections break, new ones are closed at once; freeze(): they stay, and
// nothing passes any more, as when a cable is pulled; mend(): as it was (what was frozen is cut).
export async function startRelay(to) {
    const sockets = new Set();
    let state = "open";
    const keep = (socket) => {
        sockets.add(socket);
        socket.on("error", () => { /* the other side went away */ });
        socket.on("close", () => sockets.delete(socket));
    };
    const drop = () => { for (const socket of sockets) socket.destroy(); };
    const server = createServer({ allowHalfOpen: true }, (near) => {
        keep(near);
        if (state === "cut") return void near.destroy();
        if (state === "frozen") return void near.pause();
        const far = connect({ port: to, host: "127.0.0.1", allowHalfOpen: true });

        keep(far);
        near.pipe(far);
        far.pipe(near);
        near.on("close", () => far.destroy());
        far.on("close", () => near.destroy());
    });

    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    server.unref();
    return {
        port: server.address().port,
        cut: () => { state = "cut"; drop(); },
        freeze: () => {
            state = "frozen";
            for (const socket of sockets) { socket.unpipe(); socket.pause(); }
        },
        mend: () => { if (state === "frozen") drop(); state = "open"; },
        stop: () => new Promise((done) => { drop(); server.close(done); }),
    };
}
