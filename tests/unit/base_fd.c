#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

static char dir[] = "/tmp/postern-fd-XXXXXX";

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    char command[64];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static const char *inside(const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void a_file_is_read_up_to_its_limit(void **state)
{
    int        fd = open(inside("file"), O_WRONLY | O_CREAT, 0600);
    struct buf b;
    struct err e;
    char       bytes[70000];

    (void)state;
    memset(bytes, 'x', sizeof bytes);
    assert_int_equal(fd_write_all(fd, span_make(bytes, sizeof bytes), &e), 0);
    assert_int_equal(fd_sync(fd, &e), 0);
    fd_close(&fd);
    assert_int_equal(fd, -1);
    fd_close(&fd);
    buf_init(&b, 1 << 20);
    assert_int_equal(fd_read_file(inside("file"), sizeof bytes, &b, &e), 0);
    assert_int_equal(b.n, sizeof bytes);
    buf_clear(&b);
    assert_int_equal(fd_read_file(inside("file"), sizeof bytes - 1, &b, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_int_equal(fd_read_file("/dev/zero", 100000, &b, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_int_equal(fd_read_file(inside("none"), 10, &b, &e), -1);
    assert_int_equal(e.code, ERR_NOT_FOUND);
    assert_int_equal(fd_read_file(dir, 10, &b, &e), -1);
    buf_fini(&b);
}

static void *drain(void *fd)
{
    char    bytes[4096];
    ssize_t n, all = 0;

    while ((n = read(*(int *)fd, bytes, sizeof bytes)) > 0)
        all += n;
    return (void *)all;
}

static void writing_goes_on_when_the_reader_is_slow(void **state)
{
    static char bytes[1 << 20];
    int         ends[2];
    pthread_t   reader;
    void       *got;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    pthread_create(&reader, NULL, drain, &ends[0]);
    assert_int_equal(fd_write_all(ends[1], span_make(bytes, sizeof bytes), NULL), 0);
    fd_close(&ends[1]);
    pthread_join(reader, &got);
    assert_int_equal((intptr_t)got, sizeof bytes);
    fd_close(&ends[0]);
}

static void directories_are_made_with_their_parents(void **state)
{
    struct stat st;
    struct err  e;

    (void)state;
    assert_int_equal(fd_mkdirs(inside("a/b//c/"), 0700, &e), 0);
    assert_int_equal(stat(inside("a/b/c"), &st), 0);
    assert_true(S_ISDIR(st.st_mode) && (st.st_mode & 0777) == 0700);
    assert_int_equal(fd_mkdirs(inside("a/b/c"), 0700, &e), 0);
    assert_int_equal(fd_mkdirs(inside("file/x"), 0700, &e), -1);
    assert_int_equal(fd_mkdirs("", 0700, &e), -1);
}

static void what_root_makes_in_somebodys_directory_is_theirs(void **state)
{
    struct err  e;
    struct stat st;
    int         above, fd;

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(fd_mkdirs(inside("theirs"), 0700, &e), 0);
    assert_int_equal(chown(inside("theirs"), 65534, 65533), 0);
    assert_int_equal(fd_mkdirs(inside("theirs/a/b"), 0700, &e), 0);
    assert_int_equal(stat(inside("theirs/a/b"), &st), 0);
    assert_int_equal(st.st_uid, 65534);
    assert_int_equal(st.st_gid, 65533);

    above = open(inside("theirs"), O_RDONLY | O_DIRECTORY);
    fd = openat(above, "file", O_WRONLY | O_CREAT, 0600);
    fd_inherit(fd, above);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_uid, 65534);
    fd_close(&fd);
    fd_close(&above);
}

static void the_way_to_a_file_is_synced_wherever_it_begins(void **state)
{
    struct err e;

    (void)state;
    assert_int_equal(fd_mkdirs(inside("a/b/c"), 0700, &e), 0);
    assert_int_equal(fd_sync_way(inside("a/b/c/file"), &e), 0);
    assert_int_equal(fd_sync_way("/tmp", &e), 0);
    assert_int_equal(fd_sync_way("file", &e), 0);
    assert_int_equal(fd_sync_way(inside("no/such/file"), &e), -1);
    assert_int_equal(e.code, ERR_NOT_FOUND);
}

static void a_local_disk_is_not_a_network(void **state)
{
    const char *name = NULL;

    (void)state;
    assert_false(fd_on_network("/proc/not/there", &name));
    assert_false(fd_on_network("/dev/shm/some/where", &name));
    assert_null(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_up_to_its_limit),
        cmocka_unit_test(writing_goes_on_when_the_reader_is_slow),
        cmocka_unit_test(directories_are_made_with_their_parents),
        cmocka_unit_test(what_root_makes_in_somebodys_directory_is_theirs),
        cmocka_unit_test(the_way_to_a_file_is_synced_wherever_it_begins),
        cmocka_unit_test(a_local_disk_is_not_a_network),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
