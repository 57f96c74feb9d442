/* tests/bench/floor.c - the floor: the least that an HTTP server of this kind costs.
 *
 * floor epoll|poll: libmicrohttpd as most people would use it: 2 threads, its default memory limit, no suspending. It reads the
 * whole body and answers 300 bytes. Prints its port, and serves until SIGTERM. */
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char answer[301];

struct request {
    size_t bytes;
};

static enum MHD_Result serve(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
                             const char *version, const char *data, size_t *n, void **state)
{
    struct MHD_Response *response;
    struct request      *r = *state;
    enum MHD_Result      result;

    (void)ctx, (void)url, (void)method, (void)version, (void)data;
    if (r == NULL) {
        *state = calloc(1, sizeof *r);
        return *state != NULL ? MHD_YES : MHD_NO;
    }
    if (*n > 0) {
        r->bytes += *n;
        *n = 0;
        return MHD_YES;
    }
    response = MHD_create_response_from_buffer(300, answer, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, "Content-Type", "application/json");
    result = MHD_queue_response(connection, 200, response);
    MHD_destroy_response(response);
    return result;
}

static void done(void *ctx, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode why)
{
    (void)ctx, (void)connection, (void)why;
    free(*state);
    *state = NULL;
}

int main(int argc, char **argv)
{
    unsigned           how = argc == 2 && strcmp(argv[1], "poll") == 0 ? MHD_USE_POLL_INTERNAL_THREAD
                                                                       : MHD_USE_EPOLL_INTERNAL_THREAD;
    struct MHD_Daemon *d;
    sigset_t           set;
    int                got;

    memset(answer, ' ', 300);
    memcpy(answer, "{\"action\":\"no action\",\"score\":0.0}", 34);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    d = MHD_start_daemon(how, 0, NULL, NULL, serve, NULL, MHD_OPTION_THREAD_POOL_SIZE, 2u, MHD_OPTION_NOTIFY_COMPLETED,
                         done, NULL, MHD_OPTION_END);
    if (d == NULL)
        return 1;
    printf("%u\n", (unsigned)MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    sigwait(&set, &got);
    MHD_stop_daemon(d);
    return 0;
}
