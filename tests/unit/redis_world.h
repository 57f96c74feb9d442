/* tests/unit/redis_world.h - a Redis of the test's own, on a Unix socket in its folder. */
#ifndef POSTERN_TESTS_UNIT_REDIS_WORLD_H
#define POSTERN_TESTS_UNIT_REDIS_WORLD_H

#include "rulesd_world.h"

struct redis_server {
    pid_t pid;
    char  url[PATH_MAX + 32], socket[PATH_MAX];
};

static inline void start_redis(struct world *w, struct redis_server *r)
{
    snprintf(r->socket, sizeof r->socket, "%s/redis.sock", w->dir);
    snprintf(r->url, sizeof r->url, "redis+unix:%s", r->socket);
    signal(SIGPIPE, SIG_IGN); /* as every program of ours does */
    if ((r->pid = fork()) == 0) {
        int null = open("/dev/null", O_WRONLY);

        dup2(null, STDOUT_FILENO);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", r->socket, "--dir", w->dir, "--save", "",
               "--appendonly", "no", (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 500 && access(r->socket, F_OK) < 0; i++)
        sleep_ms(10);
}

static inline void stop_redis(struct redis_server *r)
{
    kill(r->pid, SIGKILL);
    waitpid(r->pid, NULL, 0);
}

#endif
