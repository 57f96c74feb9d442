/* tests/unit/redis_server.h - a Redis of the test's own, on a Unix socket in a folder of the test's. */
#ifndef POSTERN_TESTS_UNIT_REDIS_SERVER_H
#define POSTERN_TESTS_UNIT_REDIS_SERVER_H

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct redis_server {
    pid_t pid;
    char  socket[PATH_MAX + 16], url[PATH_MAX + 32];
};

/* The socket's name is there a moment before somebody listens. */
static inline bool redis_server_listens(const struct redis_server *r)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int                fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool               yes;

    strncpy(a.sun_path, r->socket, sizeof a.sun_path - 1);
    yes = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
    close(fd);
    return yes;
}

static inline bool redis_server_start(struct redis_server *r, const char *dir)
{
    snprintf(r->socket, sizeof r->socket, "%s/redis.sock", dir);
    snprintf(r->url, sizeof r->url, "redis+unix:%s", r->socket);
    signal(SIGPIPE, SIG_IGN); /* as every program of ours does */
    if ((r->pid = fork()) == 0) {
        int null = open("/dev/null", O_WRONLY);

        dup2(null, STDOUT_FILENO);
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* no server outlives its test */
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", r->socket, "--dir", dir, "--save", "",
               "--appendonly", "no", (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 2000 && !redis_server_listens(r); i++)
        usleep(10000);
    return redis_server_listens(r);
}

static inline void redis_server_stop(struct redis_server *r)
{
    if (r->pid <= 0)
        return;
    kill(r->pid, SIGKILL);
    waitpid(r->pid, NULL, 0);
    unlink(r->socket);
    r->pid = 0;
}

#endif
