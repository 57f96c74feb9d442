/* lib/net/bayes.c - see bayes.h. */
#include "net/bayes.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "net/redis.h"

#define LOOK_MS 5000
#define COMMAND_MS 20000
#define COMMAND_WORDS_MAX 32
#define PRINTED_MAX ((size_t)64 << 10)
#define OUT_OF_BALANCE 10 /* so many times as much of one kind */

extern char **environ;

/* ---- in words ---- */

bool bayes_acts(const struct learn_known *k, int64_t needed) { return k->spam >= needed && k->ham >= needed; }

static void put_balance(struct buf *out, const struct learn_known *k)
{
    if (k->spam / OUT_OF_BALANCE > k->ham)
        buf_puts(out, " - but far more spam than ham: report ham too");
    else if (k->ham / OUT_OF_BALANCE > k->spam)
        buf_puts(out, " - but far more ham than spam: report spam too");
}

void bayes_put_words(struct buf *out, const struct learn_known *k, int64_t needed)
{
    int64_t spam = needed - k->spam, ham = needed - k->ham;

    if (bayes_acts(k, needed)) {
        buf_printf(out, "Bayes acts: spam %" PRId64 ", ham %" PRId64, k->spam, k->ham);
        put_balance(out, k);
        return;
    }
    buf_printf(out, "Bayes acts from %" PRId64 " of each: spam %" PRId64 ", ham %" PRId64 " - ", needed, k->spam,
               k->ham);
    if (spam > 0)
        buf_printf(out, "%" PRId64 " more spam", spam);
    if (ham > 0)
        buf_printf(out, "%s%" PRId64 " more ham", spam > 0 ? ", " : "", ham);
}

/* ---- Redis ---- */

/* "RSours.example" is the hash of ours.example: what it has learnt of both kinds is in it. */
static const struct kind {
    struct span set, field;
} kinds[] = {
    {{"BAYES_SPAM_keys", 15}, {"learns_spam", 11}},
    {{"BAYES_HAM_keys", 14}, {"learns_ham", 10}},
};

static int by_name(const void *a, const void *b)
{
    return span_cmp(((const struct bayes_person *)a)->name, ((const struct bayes_person *)b)->name);
}

static int count_of(struct redis *r, struct span key, struct bayes_person *out, struct err *e)
{
    struct learn_known *k = &out->known;

    out->name = span_starts(key, SPAN("RS")) ? span_skip(key, 2) : key;
    *k = (struct learn_known){0};
    return redis_field(r, key, kinds[0].field, &k->spam, e) < 0 || redis_field(r, key, kinds[1].field, &k->ham, e) < 0
               ? -1
               : 0;
}

static bool is_among(const struct span *keys, int n, struct span key)
{
    for (int i = 0; i < n; i++)
        if (span_eq(keys[i], key))
            return true;
    return false;
}

/* The keys of both sets, each once. */
static int all_keys(struct redis *r, struct arena *a, struct span *keys, struct err *e)
{
    struct span *more = arena_array(a, BAYES_PEOPLE_MAX, sizeof *more);
    int          n, nmore;

    if (more == NULL)
        return err_set(e, ERR_LIMIT, "out of memory for what Redis knows");
    if ((n = redis_members(r, kinds[0].set, BAYES_PEOPLE_MAX, a, keys, e)) < 0 ||
        (nmore = redis_members(r, kinds[1].set, BAYES_PEOPLE_MAX, a, more, e)) < 0)
        return -1;
    for (int i = 0, known = n; i < nmore && n < BAYES_PEOPLE_MAX; i++)
        if (!is_among(keys, known, more[i]))
            keys[n++] = more[i];
    return n;
}

static int read_people(struct redis *r, struct arena *a, struct bayes_person *out, struct err *e)
{
    struct span *keys = arena_array(a, BAYES_PEOPLE_MAX, sizeof *keys);
    int n = keys != NULL ? all_keys(r, a, keys, e) : err_set(e, ERR_LIMIT, "out of memory for what Redis knows");

    for (int i = 0; i < n; i++)
        if (count_of(r, keys[i], &out[i], e) < 0)
            return -1;
    if (n > 1)
        qsort(out, (size_t)n, sizeof *out, by_name);
    return n;
}

int bayes_people(const char *redis_url, struct arena *a, struct bayes_person *out, struct err *e)
{
    struct redis *r = NULL;
    int           n = -1;

    if (redis_new(redis_url, LOOK_MS, &r, e) == 0)
        n = read_people(r, a, out, e);
    redis_free(&r);
    return n;
}

/* All of them together. */
static int look_in_redis(const char *url, struct learn_known *out, struct err *e)
{
    struct arena         a;
    struct bayes_person *people;
    int                  n = -1;

    arena_init(&a, 4 << 20);
    people = arena_array(&a, BAYES_PEOPLE_MAX, sizeof *people);
    if (people != NULL)
        n = bayes_people(url, &a, people, e);
    *out = (struct learn_known){0};
    for (int i = 0; i < n; i++) {
        out->spam += people[i].known.spam;
        out->ham += people[i].known.ham;
    }
    arena_fini(&a);
    return n < 0 ? -1 : 0;
}

/* ---- a command ---- */

/* "0.000          0       1234          0  non-token data: nspam" */
static bool magic_of(struct span line, const char *name, int64_t *out)
{
    struct span field = SPAN_NONE;
    uint64_t    value;
    size_t      at = span_find(line, SPAN("non-token data: "));

    if (at == line.n || !span_is(span_trim(span_skip(line, at + 16)), name))
        return false;
    line = span_head(line, at);
    for (int i = 0; i < 3; i++) {
        line = span_trim(line);
        size_t end = span_chr(line, ' ');
        field = span_head(line, end);
        line = span_skip(line, end);
    }
    if (!span_u64(field, &value) || value > INT64_MAX)
        return false;
    *out = (int64_t)value;
    return true;
}

int bayes_read_magic(struct span printed, struct learn_known *out, struct err *e)
{
    struct span line;
    bool        spam = false, ham = false;

    *out = (struct learn_known){0};
    while (span_line(&printed, &line)) {
        spam |= magic_of(line, "nspam", &out->spam);
        ham |= magic_of(line, "nham", &out->ham);
    }
    return spam && ham ? 0 : err_set(e, ERR_INVALID, "it did not print what \"sa-learn --dump magic\" does");
}

/* Its words, in `text`, which is changed. */
static size_t split(char *text, char *words[COMMAND_WORDS_MAX + 1])
{
    size_t n = 0;

    for (char *rest = NULL, *w = strtok_r(text, " \t", &rest); w != NULL && n < COMMAND_WORDS_MAX;
         w = strtok_r(NULL, " \t", &rest))
        words[n++] = w;
    words[n] = NULL;
    return n;
}

/* A process group of its own, without our signal mask; what it prints comes out of *fd_out. */
static int spawn(char *const *words, pid_t *pid_out, int *fd_out, struct err *e)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t          attr;
    sigset_t                   none;
    int                        pipes[2], failed;

    if (pipe2(pipes, O_CLOEXEC) < 0)
        return err_errno(e, "make a pipe");
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    failed = posix_spawnp(pid_out, words[0], &actions, &attr, words, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    close(pipes[1]);
    *fd_out = pipes[0];
    if (failed == 0)
        return 0;
    close(pipes[0]);
    errno = failed;
    return err_errno(e, "run %s", words[0]);
}

static bool is_over(int stop)
{
    struct pollfd p = {.fd = stop, .events = POLLIN};

    return poll(&p, 1, 0) > 0;
}

static int read_all(int fd, int stop, int64_t until_us, struct buf *out, struct err *e)
{
    for (;;) {
        struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = stop, .events = POLLIN}};
        int64_t       left = until_us - clock_mono_us();
        char         *to = buf_reserve(out, 4096);

        if (to == NULL)
            return err_set(e, ERR_LIMIT, "it prints without end");
        if (left <= 0 || poll(p, COUNT(p), (int)(left / 1000) + 1) == 0)
            return err_set(e, ERR_TIMEOUT, "it took longer than %d s", COMMAND_MS / 1000);
        if (p[1].revents != 0)
            return err_set(e, ERR_LOST, "it was ended, since this program stops");
        if (p[0].revents == 0)
            continue;
        ssize_t n = read(fd, to, 4096);
        if (n < 0 && errno != EINTR)
            return err_errno(e, "read what it prints");
        if (n == 0)
            return 0;
        out->n += n > 0 ? (size_t)n : 0;
    }
}

/* It may have closed what it prints to and still go on: then not for ever. */
static int reap(pid_t pid, int stop, int64_t until_us)
{
    int status = 0;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (clock_mono_us() > until_us || is_over(stop))
            kill(-pid, SIGKILL);
        poll(NULL, 0, 10);
    }
    return status;
}

static int run(char *const *words, int stop, struct buf *printed, struct err *e)
{
    const int64_t until = clock_mono_us() + COMMAND_MS * INT64_C(1000);
    pid_t         pid;
    int           fd = -1, status;

    if (spawn(words, &pid, &fd, e) < 0)
        return -1;
    int rc = read_all(fd, stop, until, printed, e);
    close(fd);
    status = reap(pid, stop, rc < 0 ? 0 : until);
    if (rc == 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
        return err_set(e, ERR_IO, "%s failed", words[0]);
    return rc;
}

static int look_by_command(const char *command, int stop, struct learn_known *out, struct err *e)
{
    char      *text = span_strdup(span_of(command)), *words[COMMAND_WORDS_MAX + 1];
    struct buf printed;
    int        rc = -1;

    *out = (struct learn_known){0};
    buf_init(&printed, PRINTED_MAX);
    if (split(text, words) == 0)
        err_set(e, ERR_INVALID, "the command is empty");
    else if (run(words, stop, &printed, e) == 0)
        rc = bayes_read_magic(buf_span(&printed), out, e);
    buf_fini(&printed);
    free(text);
    return rc;
}

/* ---- everywhere ---- */

static void look_at_backend(const char *url, const char *password, struct bayes_view *v)
{
    bool spamd = span_starts(span_of(url), SPAN("spamd"));
    int  rc = spamd ? learn_ping(url, LOOK_MS, &v->why) : learn_stat(url, password, LOOK_MS, &v->known, &v->why);

    v->from = url;
    v->backend = true;
    v->up = rc == 0 || v->why.code == ERR_NOT_FOUND;
    v->counted = rc == 0 && !spamd;
}

static void seen(struct bayes_view *v, const char *from, int rc)
{
    v->from = from;
    v->up = v->counted = rc == 0;
}

size_t bayes_look(const struct settings *s, int stop, struct bayes_view out[BAYES_VIEWS_MAX])
{
    size_t n = 0;

    memset(out, 0, BAYES_VIEWS_MAX * sizeof *out);
    for (size_t i = 0; i < s->trainer.backend.n && n < BAYES_VIEWS_MAX - 2 && !is_over(stop); i++)
        look_at_backend(s->trainer.backend.items[i], s->trainer.password, &out[n++]);
    if (s->trainer.bayes_redis[0] != '\0' && !is_over(stop)) {
        seen(&out[n], "Redis", look_in_redis(s->trainer.bayes_redis, &out[n].known, &out[n].why));
        n++;
    }
    if (s->trainer.bayes_command[0] != '\0' && !is_over(stop)) {
        seen(&out[n], "command", look_by_command(s->trainer.bayes_command, stop, &out[n].known, &out[n].why));
        n++;
    }
    return n;
}
