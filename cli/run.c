/* cli/run.c - postern run: starts the programs of Postern as children, starts again what dies, stops them all.
 *
 * One process, no threads: signals arrive through sigwaitinfo(2), so nothing happens in a handler. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "run.h"

#define RESTART_FIRST_US 500000
#define RESTART_MAX_US (60 * 1000000L)
#define RUN_WELL_US (30 * 1000000L) /* who ran so long starts again without delay */
#define STOP_US (20 * 1000000L)     /* then SIGKILL */

struct child {
    const char *name;
    char        path[4096];
    pid_t       pid;
    int64_t     started_us, start_at_us, delay_us;
};

struct supervisor {
    struct child children[4];
    size_t       n;
    const char  *conf_path;
    sigset_t     signals;
    bool         stopping;
};

/* The siblings of this program that are there. */
static int find_programs(struct supervisor *s, struct err *e)
{
    static const char *const names[] = {"postern-rulesd", "postern-trainer", "postern-digest", "postern-portal"};
    char                     self[3900];
    ssize_t                  n = readlink("/proc/self/exe", self, sizeof self - 1);
    char                    *slash;

    if (n < 0)
        return err_errno(e, "read /proc/self/exe");
    self[n] = 0;
    if ((slash = strrchr(self, '/')) == NULL)
        return err_set(e, ERR_NOT_FOUND, "the folder of this program is not known");
    *slash = 0;
    for (size_t i = 0; i < COUNT(names); i++) {
        struct child *c = &s->children[s->n];

        snprintf(c->path, sizeof c->path, "%s/%s", self, names[i]);
        if (access(c->path, X_OK) < 0)
            continue;
        c->name = names[i];
        c->delay_us = RESTART_FIRST_US;
        s->n++;
    }
    return s->n > 0 ? 0 : err_set(e, ERR_NOT_FOUND, "no program of Postern beside this one in %s", self);
}

static void start(struct supervisor *s, struct child *c)
{
    pid_t parent = getpid();

    c->started_us = clock_mono_us();
    if ((c->pid = fork()) != 0) {
        if (c->pid < 0)
            log_text(LOG_LEVEL_ERROR, "cannot start %s", c->name);
        return;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* ours die with us, also by SIGKILL */
    if (getppid() != parent)
        _exit(1);
    sigprocmask(SIG_UNBLOCK, &s->signals, NULL);
    setpgid(0, 0); /* Ctrl-C comes to us alone: we stop them in order */
    execl(c->path, c->name, "-c", s->conf_path, (char *)NULL);
    _exit(127);
}

static void died(struct supervisor *s, pid_t pid, int status)
{
    for (size_t i = 0; i < s->n; i++) {
        struct child *c = &s->children[i];

        if (c->pid != pid)
            continue;
        c->pid = 0;
        if (s->stopping)
            return;
        c->delay_us = clock_mono_us() - c->started_us > RUN_WELL_US ? RESTART_FIRST_US : c->delay_us * 2;
        c->delay_us = c->delay_us < RESTART_MAX_US ? c->delay_us : RESTART_MAX_US;
        c->start_at_us = clock_mono_us() + c->delay_us;
        log_text(LOG_LEVEL_ERROR, "%s ended (%s %d); starting it again in %.1f s", c->name,
                 WIFSIGNALED(status) ? "signal" : "status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), (double)c->delay_us / 1e6);
    }
}

static void signal_all(struct supervisor *s, int signal)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->children[i].pid > 0)
            kill(s->children[i].pid, signal);
}

static void reap(struct supervisor *s)
{
    int   status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        died(s, pid, status);
}

static bool any_alive(const struct supervisor *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->children[i].pid > 0)
            return true;
    return false;
}

/* Waits for one signal, at most a quarter of a second, and acts on it. */
static void turn(struct supervisor *s)
{
    struct timespec quarter = {0, 250000000};
    siginfo_t       info;
    int             got = sigtimedwait(&s->signals, &info, &quarter);

    /* A SIGHUP from the kernel says that the terminal is gone, one from somebody that settings have changed. */
    if (got == SIGTERM || got == SIGINT || (got == SIGHUP && info.si_code == SI_KERNEL))
        s->stopping = true;
    else if (got == SIGHUP)
        signal_all(s, SIGHUP);
    reap(s);
}

static void stop_all(struct supervisor *s)
{
    int64_t until = clock_mono_us() + STOP_US;

    s->stopping = true;
    signal_all(s, SIGTERM);
    while (any_alive(s) && clock_mono_us() < until)
        turn(s);
    signal_all(s, SIGKILL);
    while (any_alive(s))
        turn(s);
}

static int supervise(struct supervisor *s, struct cli *c, const struct example *example, struct err *e)
{
    bool shown = example->dir == NULL;
    int  rc = 0;

    for (size_t i = 0; i < s->n; i++)
        start(s, &s->children[i]);
    while (!s->stopping) {
        if (!shown) {
            if ((rc = example_show(c, example, e)) < 0)
                break;
            shown = true;
        }
        turn(s);
        for (size_t i = 0; i < s->n && !s->stopping; i++)
            if (s->children[i].pid <= 0 && clock_mono_us() >= s->children[i].start_at_us)
                start(s, &s->children[i]);
    }
    stop_all(s);
    return rc;
}

/* The terminal of whoever typed `make run`. What is typed there reaches every process of the group in front, and make calls
 * a Ctrl-C a failure even if all ends well: so the example has a group of its own in front until it ends. */
struct terminal {
    int   fd; /* -1: there is none, or it is not ours to take */
    pid_t before;
};

static void terminal_take(struct terminal *t)
{
    t->before = getpgrp();
    t->fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (t->before == getpid() || tcgetpgrp(t->fd) != t->before || setpgid(0, 0) < 0) {
        fd_close(&t->fd);
        return;
    }
    signal(SIGTTOU, SIG_IGN); /* from behind, to come to the front */
    signal(SIGTSTP, SIG_IGN); /* make would not notice that we stopped, and nobody had the keys */
    tcsetpgrp(t->fd, getpid());
}

static void terminal_give_back(struct terminal *t)
{
    if (t->fd >= 0)
        tcsetpgrp(t->fd, t->before);
    fd_close(&t->fd);
}

int cli_run(struct cli *c, int argc, char **argv, struct err *e)
{
    static struct supervisor s;
    struct example           example = {.seed = "examples/quickstart"};
    struct terminal          terminal = {.fd = -1};
    const char              *spamd = "1783", *http = "11344", *portal = "8080";
    struct conf             *conf = NULL;
    int                      rc = -1;
    const struct args_option options[] = {
        {"example", "DIR", .text = &example.dir, .help = "make a small example below DIR and run that"},
        {"seed", "DIR", .text = &example.seed, .help = "where the example's rules and mail are"},
        {"spamd-port", "N", .text = &spamd, .help = "of the example"},
        {"http-port", "N", .text = &http, .help = "of the example"},
        {"portal-port", "N", .text = &portal, .help = "of the example"},
    };

    if (args_read(argc, argv, options, COUNT(options), "", 0, 0, NULL, NULL, e) < 0 || find_programs(&s, e) < 0 ||
        cli_number(spamd, "--spamd-port", 1, 65535, &example.spamd_port, e) < 0 ||
        cli_number(http, "--http-port", 1, 65535, &example.http_port, e) < 0 ||
        cli_number(portal, "--portal-port", 1, 65535, &example.portal_port, e) < 0)
        return -1;
    sigemptyset(&s.signals);
    sigaddset(&s.signals, SIGTERM);
    sigaddset(&s.signals, SIGINT);
    sigaddset(&s.signals, SIGHUP);
    sigaddset(&s.signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &s.signals, NULL);
    if (example.dir != NULL)
        terminal_take(&terminal);
    if (example.dir == NULL || example_make(c, &example, &conf, e) == 0) {
        s.conf_path = c->conf_path;
        rc = supervise(&s, c, &example, e);
    }
    store_close(&c->store);
    conf_free(&conf);
    if (rc == 0 && example.dir != NULL)
        puts("\nStopped."); /* not behind the ^C of the terminal */
    fflush(stdout);
    terminal_give_back(&terminal);
    return rc;
}
