/* tests/bench/load.c - sends scans, and says what they cost the server.
 *
 * load --to PORT|unix:PATH --protocol http|keepalive|spamd --message FILE --rcpts FILE [--froms FILE] [--ips FILE] --n N
 *      [--threads T] --pid PID … [--warmup N]
 *
 * Recipients, senders and client addresses are taken from their files in turn. The cost is the CPU time (user and system) that
 * the server's processes used between the first and the last message, as the scheduler counts it, in nanoseconds, divided by
 * the number of messages; the client's own cost does not count. Prints one line of JSON. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

enum protocol { HTTP, KEEPALIVE, SPAMD };

struct list {
    struct buf   text;
    struct span *items;
    size_t       n;
};

static struct {
    const char    *to, *message_path, *lists_path[3];
    enum protocol  protocol;
    struct buf     message;
    struct list    lists[3]; /* recipients, senders, addresses */
    size_t         n, warmup, nthreads;
    int            pids[64];
    size_t         npids;
    _Atomic size_t next, failed;
    uint32_t      *latency_us; /* one a message */
    int64_t        started_us;
} load;

_Noreturn static void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void read_list(struct list *l, const char *path)
{
    struct err  e = ERR_INIT;
    struct span rest, line;
    size_t      cap = 0;

    buf_init(&l->text, (size_t)1 << 30);
    if (path == NULL)
        return;
    if (fd_read_file(path, (size_t)1 << 30, &l->text, &e) < 0)
        fatal(&e);
    for (rest = buf_span(&l->text); span_line(&rest, &line);) {
        if (line.n == 0)
            continue;
        if (l->n == cap) {
            cap = cap > 0 ? cap * 2 : 1024;
            if ((l->items = realloc(l->items, cap * sizeof *l->items)) == NULL)
                die("memory");
        }
        l->items[l->n++] = line;
    }
}

static struct span pick(const struct list *l, size_t i, const char *fallback)
{
    return l->n > 0 ? l->items[i % l->n] : span_of(fallback);
}

static int dial(void)
{
    int fd;

    if (strncmp(load.to, "unix:", 5) == 0) {
        struct sockaddr_un at = {.sun_family = AF_UNIX};

        snprintf(at.sun_path, sizeof at.sun_path, "%s", load.to + 5);
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        return fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0 ? fd : (close(fd), -1);
    }
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(load.to))};
    int                one = 1;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) < 0) {
        close(fd);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void put_request(struct buf *b, size_t i)
{
    struct span rcpt = pick(&load.lists[0], i, "anna@ours.example");
    struct span from = pick(&load.lists[1], i, "ben@friends.example"), ip = pick(&load.lists[2], i, "192.0.2.200");

    buf_clear(b);
    if (load.protocol == SPAMD)
        buf_printf(b, "CHECK SPAMC/1.5\r\nUser: %.*s\r\nContent-length: %zu\r\n\r\n", SPAN_ARG(rcpt), load.message.n);
    else
        buf_printf(b,
                   "POST /checkv2 HTTP/1.1\r\nHost: bench\r\n%sFrom: <%.*s>\r\nRcpt: <%.*s>\r\nIP: %.*s\r\n"
                   "Helo: mail.friends.example\r\nHostname: mail.friends.example\r\nQueue-ID: B%lld.%zu\r\n"
                   "Content-Length: %zu\r\n\r\n",
                   load.protocol == HTTP ? "Connection: close\r\n" : "", SPAN_ARG(from), SPAN_ARG(rcpt), SPAN_ARG(ip),
                   (long long)load.started_us, i, load.message.n);
    buf_put(b, buf_span(&load.message));
}

/* A whole reply: to the end of the connection, or as long as its Content-Length says. */
static bool read_reply(int fd, struct buf *b, bool to_end)
{
    size_t need = SIZE_MAX;

    buf_clear(b);
    for (;;) {
        char   *room = buf_reserve(b, 16384);
        ssize_t n = room != NULL ? read(fd, room, 16384) : -1;
        size_t  head;

        if (n < 0)
            return false;
        if (n == 0)
            return to_end && b->n > 0;
        b->n += (size_t)n;
        if (to_end)
            continue;
        if (need == SIZE_MAX && (head = span_find(buf_span(b), SPAN("\r\n\r\n"))) < b->n) {
            size_t      at = span_find_ci(span_head(buf_span(b), head), SPAN("content-length:"));
            struct span length = span_skip(buf_span(b), at + 15);
            uint64_t    bytes;

            if (!span_u64(span_trim(span_head(length, span_chr(length, '\r'))), &bytes))
                return false;
            need = head + 4 + bytes;
        }
        if (b->n >= need)
            return true;
    }
}

static bool good(struct span reply)
{
    if (load.protocol == SPAMD)
        return span_find(span_head(reply, 40), SPAN(" 0 EX_OK")) < 40;
    return span_find(span_head(reply, 20), SPAN(" 200 ")) < 20 && span_find(reply, SPAN("\"action\"")) < reply.n;
}

static bool one(int *fd, size_t i, struct buf *request, struct buf *reply)
{
    struct err e = ERR_INIT;
    bool       ok;

    put_request(request, i);
    if (*fd < 0 && (*fd = dial()) < 0)
        return false;
    ok = fd_write_all(*fd, buf_span(request), &e) == 0;
    if (ok && load.protocol == SPAMD)
        shutdown(*fd, SHUT_WR);
    ok = ok && read_reply(*fd, reply, load.protocol != KEEPALIVE) && good(buf_span(reply));
    if (load.protocol != KEEPALIVE || !ok) {
        close(*fd);
        *fd = -1;
    }
    return ok;
}

static void *worker(void *last)
{
    struct buf request, reply;
    int        fd = -1;
    size_t     i, end = *(const size_t *)last;

    buf_init(&request, (size_t)1 << 28);
    buf_init(&reply, (size_t)1 << 24);
    while ((i = atomic_fetch_add(&load.next, 1)) < end) {
        int64_t t = clock_mono_us();

        if (!one(&fd, i, &request, &reply) && atomic_fetch_add(&load.failed, 1) == 0)
            fprintf(stderr, "load: message %zu: bad reply: %.200s\n", i, reply.p != NULL ? reply.p : "");
        load.latency_us[i] = (uint32_t)(clock_mono_us() - t);
    }
    if (fd >= 0)
        close(fd);
    buf_fini(&reply);
    buf_fini(&request);
    return NULL;
}

static void send_until(size_t end)
{
    pthread_t threads[64];

    for (size_t i = 0; i < load.nthreads; i++)
        if (pthread_create(&threads[i], NULL, worker, &end) != 0)
            die("start a thread");
    for (size_t i = 0; i < load.nthreads; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&load.next, end);
}

/* CPU time of a process so far: of its living threads in nanoseconds. Servers under test keep their threads. */
static uint64_t cpu_ns(int pid)
{
    char           path[300];
    uint64_t       sum = 0, ns;
    struct dirent *d;
    DIR           *dir;

    snprintf(path, sizeof path, "/proc/%d/task", pid);
    if ((dir = opendir(path)) == NULL)
        die(path);
    while ((d = readdir(dir)) != NULL) {
        FILE *f;

        snprintf(path, sizeof path, "/proc/%d/task/%.20s/schedstat", pid, d->d_name);
        if (d->d_name[0] == '.' || (f = fopen(path, "r")) == NULL)
            continue;
        if (fscanf(f, "%lu", &ns) == 1)
            sum += ns;
        fclose(f);
    }
    closedir(dir);
    return sum;
}

static uint64_t all_cpu_ns(void)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < load.npids; i++)
        sum += cpu_ns(load.pids[i]);
    return sum;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void report(uint64_t ns, int64_t wall_us)
{
    uint32_t *l = load.latency_us + load.warmup;

    qsort(l, load.n, sizeof *l, by_size);
    printf("{\"messages\":%zu,\"failed\":%zu,\"cpu_us\":%.2f,\"wall_us\":%.2f,"
           "\"p50_us\":%u,\"p99_us\":%u,\"max_us\":%u}\n",
           load.n, (size_t)load.failed, (double)ns / 1e3 / (double)load.n, (double)wall_us / (double)load.n,
           l[load.n / 2], l[load.n * 99 / 100], l[load.n - 1]);
}

static void read_args(int argc, char **argv)
{
    load.n = 1000;
    load.nthreads = 2;
    load.warmup = 100;
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *k = argv[i], *v = argv[i + 1];

        if (strcmp(k, "--to") == 0)
            load.to = v;
        else if (strcmp(k, "--protocol") == 0)
            load.protocol = strcmp(v, "spamd") == 0 ? SPAMD : strcmp(v, "keepalive") == 0 ? KEEPALIVE : HTTP;
        else if (strcmp(k, "--message") == 0)
            load.message_path = v;
        else if (strcmp(k, "--rcpts") == 0)
            load.lists_path[0] = v;
        else if (strcmp(k, "--froms") == 0)
            load.lists_path[1] = v;
        else if (strcmp(k, "--ips") == 0)
            load.lists_path[2] = v;
        else if (strcmp(k, "--n") == 0)
            load.n = strtoul(v, NULL, 10);
        else if (strcmp(k, "--warmup") == 0)
            load.warmup = strtoul(v, NULL, 10);
        else if (strcmp(k, "--threads") == 0)
            load.nthreads = strtoul(v, NULL, 10);
        else if (strcmp(k, "--pid") == 0 && load.npids < 64)
            load.pids[load.npids++] = atoi(v);
        else {
            fprintf(stderr, "load: there is no option %s\n", k);
            exit(64);
        }
    }
    if (load.to == NULL || load.message_path == NULL || load.n == 0 || load.nthreads == 0 || load.nthreads > 64) {
        fprintf(stderr, "usage: load --to PORT|unix:PATH --protocol http|keepalive|spamd --message FILE "
                        "--rcpts FILE --n N --pid PID\n");
        exit(64);
    }
}

int main(int argc, char **argv)
{
    struct err e = ERR_INIT;
    uint64_t   before;
    int64_t    started;

    read_args(argc, argv);
    load.started_us = clock_wall_us(); /* so that no queue id comes twice */
    buf_init(&load.message, (size_t)1 << 28);
    if (fd_read_file(load.message_path, (size_t)1 << 28, &load.message, &e) < 0)
        fatal(&e);
    for (size_t i = 0; i < 3; i++)
        read_list(&load.lists[i], load.lists_path[i]);
    if ((load.latency_us = calloc(load.n + load.warmup, sizeof *load.latency_us)) == NULL)
        die("memory");
    send_until(load.warmup);
    before = all_cpu_ns();
    started = clock_mono_us();
    send_until(load.warmup + load.n);
    report(all_cpu_ns() - before, clock_mono_us() - started);
    return load.failed == 0 ? 0 : 1;
}
