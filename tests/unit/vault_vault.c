#include "vault.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define HEAD SPAN("{\"sender\":\"x@bad.example\"}")
#define MAIL SPAN("From: x@bad.example\nSubject: prize\n\nYou have won.\n")

static void *big_mail(size_t n)
{
    char    *p = malloc(n);
    uint64_t x = 88172645463325252;

    for (size_t i = 0; i < n; i++) { /* half of it compresses, half does not */
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        p[i] = i / 4096 % 2 ? 'a' : (char)x;
    }
    return p;
}

static struct uuid keep(struct home *h, struct span head, struct span mail)
{
    struct uuid       uid = uuid7_make();
    struct vault_kept kept;

    OK(h, vault_put(h->vault, &uid, head, mail, &kept, &h->e));
    return uid;
}

static int get(struct home *h, const struct uuid *uid, struct buf *head, struct buf *mail)
{
    buf_init(head, VAULT_HEAD_MAX);
    buf_init(mail, (size_t)100 << 20);
    return vault_get(h->vault, uid, head, mail, &h->e);
}

/* The mail opens, and is this one. */
static void require_mail(struct home *h, const struct uuid *uid, struct span mail)
{
    struct buf head, got;

    if (get(h, uid, &head, &got) < 0)
        fail_msg("%s", h->e.text);
    assert_true(span_eq(buf_span(&got), mail));
    assert_true(span_eq(buf_span(&head), HEAD));
    buf_fini(&head);
    buf_fini(&got);
}

/* It does not, and nothing of it gets out that is not whole. */
static void require_error(struct home *h, const char *holds, const struct uuid *uid, enum err_code code,
                          const char *words)
{
    struct buf head, got;

    h->e = ERR_INIT;
    CHECK(holds, get(h, uid, &head, &got) < 0);
    if (h->e.code != code || strstr(h->e.text, words) == NULL)
        fail_msg("%s: %s: %s", holds, err_word(h->e.code), h->e.text);
    buf_fini(&head);
    buf_fini(&got);
}

static void what_is_kept_comes_back_as_it_was(void **state)
{
    static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 1000000, 50 << 20};
    struct home        *h = *state;

    open_vault(h, 0);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        char             *p = big_mail(sizes[i] > 0 ? sizes[i] : 1);
        struct span       mail = span_make(p, sizes[i]);
        struct uuid       uid = uuid7_make();
        struct vault_kept kept, again;
        struct buf        head;
        struct stat       st;
        uint8_t           digest[32];

        OK(h, vault_put(h->vault, &uid, HEAD, mail, &kept, &h->e));
        assert_int_equal(stat(object_path(h, &uid), &st), 0);
        assert_int_equal(st.st_size, kept.bytes);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_true(sizes[i] < 1000000 || kept.bytes < sizes[i] * 3 / 4);
        crypto_hash_sha256(digest, (const unsigned char *)p, sizes[i]);
        assert_memory_equal(kept.sha256, digest, 32);
        assert_string_equal(kept.key_id, keyring_current(h->ring));
        require_mail(h, &uid, mail);

        buf_init(&head, VAULT_HEAD_MAX);
        OK(h, vault_head(h->vault, &uid, &head, &again, &h->e));
        assert_true(span_eq(buf_span(&head), HEAD));
        assert_int_equal(again.bytes, kept.bytes);
        assert_memory_equal(again.sha256, digest, 32);
        assert_string_equal(again.key_id, kept.key_id);
        buf_fini(&head);
        free(p);
    }
}

/* The message cannot be read from the disk, nor guessed by who has it already. */
static void nothing_of_the_message_is_on_disk_in_the_clear(void **state)
{
    struct home *h = *state;
    struct uuid  uid;
    struct buf   file;

    open_vault(h, 0);
    uid = keep(h, HEAD, MAIL);
    buf_init(&file, 1 << 20);
    OK(h, fd_read_file(object_path(h, &uid), file.max, &file, &h->e));
    assert_int_equal(span_find(buf_span(&file), SPAN("have won")), file.n);
    assert_true(span_find(buf_span(&file), HEAD) < file.n);
    buf_fini(&file);
}

static void a_repeated_uid_changes_nothing(void **state)
{
    struct home      *h = *state;
    struct uuid       uid;
    struct vault_kept first, second;

    open_vault(h, 0);
    uid = keep(h, HEAD, MAIL);
    OK(h, vault_head(h->vault, &uid, NULL, &first, &h->e));
    OK(h, vault_put(h->vault, &uid, SPAN("{\"other\":1}"), SPAN("something else"), &second, &h->e));
    assert_int_equal(first.bytes, second.bytes);
    assert_memory_equal(first.sha256, second.sha256, 32);
    require_mail(h, &uid, MAIL);
}

struct racer {
    struct vault     *vault;
    struct uuid       uid;
    char              text[64];
    int               rc;
    struct vault_kept kept;
};

static void *race(void *arg)
{
    struct racer *r = arg;

    r->rc = vault_put(r->vault, &r->uid, HEAD, span_of(r->text), &r->kept, NULL);
    return NULL;
}

static void of_many_at_once_under_one_uid_one_is_kept_and_all_are_told_which(void **state)
{
    struct home *h = *state;
    struct racer racers[8];
    pthread_t    threads[8];
    struct uuid  uid = uuid7_make();
    struct buf   head, got;

    open_vault(h, 0);
    for (size_t i = 0; i < 8; i++) {
        racers[i] = (struct racer){.vault = h->vault, .uid = uid};
        snprintf(racers[i].text, sizeof racers[i].text, "message number %zu", i);
        pthread_create(&threads[i], NULL, race, &racers[i]);
    }
    for (size_t i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(get(h, &uid, &head, &got), 0);
    for (size_t i = 0; i < 8; i++) {
        uint8_t digest[32];

        crypto_hash_sha256(digest, (const unsigned char *)got.p, got.n);
        assert_int_equal(racers[i].rc, 0);
        assert_memory_equal(racers[i].kept.sha256, digest, 32);
    }
    buf_fini(&head);
    buf_fini(&got);
    assert_int_equal(rmdir(inside(h, "held/tmp")), 0);
}

static void without_its_key_a_message_stays_closed_and_the_key_is_named(void **state)
{
    struct home *h = *state;
    struct uuid  uid;
    char         path[64], id[KEY_ID_MAX + 1];
    struct buf   head;

    open_vault(h, 0);
    uid = keep(h, HEAD, MAIL);
    strcpy(id, keyring_current(h->ring));
    snprintf(path, sizeof path, "keys/%s.key", id);
    assert_int_equal(unlink(inside(h, path)), 0);
    vault_close(&h->vault);
    keyring_close(&h->ring);
    open_vault(h, 0);
    require_error(h, "no secret half", &uid, ERR_DENIED, id);
    buf_init(&head, VAULT_HEAD_MAX);
    OK(h, vault_head(h->vault, &uid, &head, NULL, &h->e));
    assert_true(span_eq(buf_span(&head), HEAD));
    buf_fini(&head);

    snprintf(path, sizeof path, "keys/%s.pub", id);
    assert_int_equal(unlink(inside(h, path)), 0);
    assert_int_equal(unlink(inside(h, "keys/current")), 0);
    vault_close(&h->vault);
    keyring_close(&h->ring);
    open_vault(h, 0);
    require_error(h, "a lost key", &uid, ERR_DENIED, id);
}

static void a_key_of_the_same_name_that_is_another_one_is_told(void **state)
{
    struct home *h = *state;
    struct uuid  uid;
    char         id[KEY_ID_MAX + 1], from[64], to[64];

    open_vault(h, 0);
    uid = keep(h, HEAD, MAIL);
    strcpy(id, keyring_current(h->ring));
    snprintf(to, sizeof to, "keys/%s", id);
    vault_close(&h->vault);
    keyring_close(&h->ring);
    OK(h, keyring_rotate(h->keys, id, &h->e));
    for (size_t i = 0; i < 2; i++) {
        char target[128];

        snprintf(from, sizeof from, "keys/%s%s", id, i == 0 ? ".pub" : ".key");
        snprintf(target, sizeof target, "%s%s", to, i == 0 ? ".pub" : ".key");
        assert_int_equal(rename(inside(h, from), inside(h, target)), 0);
    }
    assert_int_equal(unlink(inside(h, "keys/current")), 0);
    open_vault(h, 0);
    require_error(h, "another key", &uid, ERR_CORRUPT, "does not open with the key");
}

static void flip(const char *path, off_t at)
{
    int           fd = open(path, O_RDWR);
    unsigned char c;

    assert_int_equal(pread(fd, &c, 1, at), 1);
    c ^= 1;
    assert_int_equal(pwrite(fd, &c, 1, at), 1);
    close(fd);
}

static void copy_object(const char *from, const char *to)
{
    char command[600];

    snprintf(command, sizeof command, "cp %s %s", from, to);
    assert_int_equal(system(command), 0);
}

/* Its own UID stands in it; if that is changed too, the seal is broken. */
static void an_object_under_another_name_does_not_open(void **state)
{
    struct home *h = *state;
    struct uuid  one, two;
    int          fd;

    open_vault(h, 0);
    one = keep(h, HEAD, MAIL);
    two = keep(h, HEAD, SPAN("another message"));
    copy_object(object_path(h, &one), object_path(h, &two));
    require_error(h, "swapped", &two, ERR_CORRUPT, "another message");
    fd = open(object_path(h, &two), O_WRONLY);
    assert_int_equal(pwrite(fd, two.b, 16, 8), 16);
    close(fd);
    require_error(h, "swapped and renamed inside", &two, ERR_CORRUPT, "its head or its name was changed");
    require_mail(h, &one, MAIL);
}

static void a_touched_head_is_seen_without_a_key_and_with_one(void **state)
{
    static const char other[] = "{\"sender\":\"y@bad.example\"}";
    struct home      *h = *state;
    struct uuid       uid;
    uint8_t           digest[32];
    int               fd;

    open_vault(h, 0);
    uid = keep(h, HEAD, MAIL);
    fd = open(object_path(h, &uid), O_WRONLY);
    assert_int_equal(pwrite(fd, other, sizeof other - 1, 240), sizeof other - 1);
    require_error(h, "another head", &uid, ERR_CORRUPT, "head is not the one");
    FAILS(h, vault_head(h->vault, &uid, NULL, NULL, &h->e), ERR_CORRUPT, "head is not the one");

    crypto_hash_sha256(digest, (const unsigned char *)other, sizeof other - 1);
    assert_int_equal(pwrite(fd, digest, 32, 168), 32);
    close(fd);
    OK(h, vault_head(h->vault, &uid, NULL, NULL, &h->e));
    require_error(h, "another head with its digest", &uid, ERR_CORRUPT, "its head or its name was changed");
}

static void every_cut_and_every_changed_byte_is_an_error(void **state)
{
    struct home *h = *state;
    struct uuid  uid;
    struct stat  st;
    struct buf   head, got;

    open_vault(h, 0);
    uid = keep(h, HEAD, MAIL);
    assert_int_equal(stat(object_path(h, &uid), &st), 0);
    for (off_t at = 0; at < st.st_size; at++) {
        flip(object_path(h, &uid), at);
        h->e = ERR_INIT;
        if (get(h, &uid, &head, &got) == 0)
            fail_msg("byte %ld changed, and it opens", (long)at);
        assert_true(h->e.code == ERR_CORRUPT || h->e.code == ERR_DENIED || h->e.code == ERR_LIMIT);
        buf_fini(&head);
        buf_fini(&got);
        flip(object_path(h, &uid), at);
    }
    require_mail(h, &uid, MAIL);
    copy_object(object_path(h, &uid), inside(h, "whole"));
    for (off_t n = 0; n < st.st_size; n++) {
        copy_object(inside(h, "whole"), object_path(h, &uid));
        n = n > 300 && n < st.st_size - 30 ? st.st_size - 30 : n;
        assert_int_equal(truncate(object_path(h, &uid), n), 0);
        require_error(h, "cut", &uid, ERR_CORRUPT, "cut");
        FAILS(h, vault_head(h->vault, &uid, NULL, NULL, &h->e), ERR_CORRUPT, "cut");
        n += n < 220 ? 20 : 0;
    }
}

static void who_only_reads_messages_gets_them_one_behind_the_other(void **state)
{
    struct home *h = *state;
    struct uuid  one, two;
    struct stat  st;
    struct buf   all;

    open_vault(h, 0);
    one = keep(h, HEAD, MAIL);
    two = keep(h, HEAD, SPAN("another message"));
    buf_init(&all, 4096);
    OK(h, vault_read(h->vault, &one, &all, &h->e));
    OK(h, vault_read(h->vault, &two, &all, &h->e));
    assert_true(span_starts(buf_span(&all), MAIL) && span_ends(buf_span(&all), SPAN("another message")));
    assert_int_equal(all.n, MAIL.n + SPAN("another message").n);

    assert_int_equal(stat(object_path(h, &two), &st), 0);
    for (off_t at = 0; at < st.st_size; at++) { /* but for the head's bytes, which it does not look at */
        const bool is_head = at >= 240 && at < 240 + (off_t)HEAD.n;

        flip(object_path(h, &two), at);
        buf_clear(&all);
        h->e = ERR_INIT;
        if ((vault_read(h->vault, &two, &all, &h->e) == 0) != is_head)
            fail_msg("byte %ld changed: %s", (long)at, h->e.text);
        assert_true(is_head || h->e.code == ERR_CORRUPT || h->e.code == ERR_DENIED || h->e.code == ERR_LIMIT);
        flip(object_path(h, &two), at);
    }
    buf_fini(&all);
}

static void a_message_that_the_caller_has_no_room_for_is_an_error(void **state)
{
    struct home *h = *state;
    struct uuid  uid;
    struct buf   small;
    char        *p = big_mail(100000);

    open_vault(h, 0);
    uid = keep(h, HEAD, span_make(p, 100000));
    buf_init(&small, 99999);
    FAILS(h, vault_get(h->vault, &uid, NULL, &small, &h->e), ERR_LIMIT, "100000");
    buf_fini(&small);
    free(p);
}

static void what_is_deleted_is_gone_and_told(void **state)
{
    struct home *h = *state;
    struct uuid  uid;

    open_vault(h, 0);
    uid = keep(h, HEAD, MAIL);
    OK(h, vault_delete(h->vault, &uid, &h->e));
    assert_false(exists(object_path(h, &uid)));
    FAILS(h, vault_delete(h->vault, &uid, &h->e), ERR_NOT_FOUND, "not held");
    require_error(h, "deleted", &uid, ERR_NOT_FOUND, "not held");
    uid = keep(h, HEAD, MAIL);
    require_mail(h, &uid, MAIL);
}

/* A UID of so many days ago. */
static struct uuid uid_of_day(int64_t days)
{
    struct uuid uid = uuid7_make();
    int64_t     ms = clock_wall_us() / 1000 - days * 86400000;

    for (size_t i = 0; i < 6; i++)
        uid.b[i] = (uint8_t)(ms >> (40 - 8 * i));
    return uid;
}

static void the_folder_of_a_day_that_is_over_goes_with_its_last_object(void **state)
{
    struct home      *h = *state;
    struct uuid       old = uid_of_day(10);
    struct vault_kept kept;
    char              folder[256];

    open_vault(h, 0);
    OK(h, vault_put(h->vault, &old, HEAD, MAIL, &kept, &h->e));
    snprintf(folder, sizeof folder, "%s", object_path(h, &old));
    *strrchr(folder, '/') = '\0';
    assert_true(exists(folder));
    OK(h, vault_delete(h->vault, &old, &h->e));
    assert_false(exists(folder));
    OK(h, vault_put(h->vault, &old, HEAD, MAIL, &kept, &h->e));
    require_mail(h, &old, MAIL);
    assert_int_equal(unlink(object_path(h, &old)), 0); /* by somebody else, folder and all */
    assert_int_equal(rmdir(folder), 0);
    OK(h, vault_put(h->vault, &old, HEAD, MAIL, &kept, &h->e));
    require_mail(h, &old, MAIL);
}

struct seen {
    struct uuid uids[16];
    size_t      n, damaged, stop_at;
};

static int see(void *ctx, const struct uuid *uid, struct span head, const struct vault_kept *kept)
{
    struct seen *s = ctx;

    s->uids[s->n++] = *uid;
    s->damaged += kept == NULL;
    assert_true(kept == NULL || span_eq(head, HEAD));
    return s->n == s->stop_at;
}

static int see_name(void *ctx, const struct uuid *uid)
{
    struct seen *s = ctx;

    s->uids[s->n++] = *uid;
    return 0;
}

static void all_are_walked_the_oldest_first_damaged_ones_told(void **state)
{
    static const int64_t days[] = {40, 5, 5, 1, 0};
    struct home         *h = *state;
    struct uuid          uids[COUNT(days)];
    struct vault_kept    kept;
    struct seen          seen = {.n = 0};

    open_vault(h, 0);
    for (size_t i = COUNT(days); i-- > 0;) {
        uids[i] = uid_of_day(days[i]);
        OK(h, vault_put(h->vault, &uids[i], HEAD, MAIL, &kept, &h->e));
    }
    assert_int_equal(mkdir(inside(h, "held/lost+found"), 0700), 0); /* and what else lies there */
    assert_int_equal(symlink("/etc/passwd", inside(h, "held/passwd")), 0);
    assert_int_equal(truncate(object_path(h, &uids[0]), 100), 0);
    OK(h, vault_each(h->vault, 0, see, &seen, &h->e));
    assert_int_equal(seen.n, COUNT(days));
    assert_int_equal(seen.damaged, 1);
    for (size_t i = 1; i < COUNT(days); i++)
        assert_true(uuid_cmp(&seen.uids[i - 1], &seen.uids[i]) < 0);

    seen = (struct seen){.n = 0};
    OK(h, vault_each_here(h->vault, clock_wall_us() - 6 * 86400 * INT64_C(1000000), see_name, &seen, &h->e));
    assert_int_equal(seen.n, 4);
    seen = (struct seen){.stop_at = 2};
    OK(h, vault_each(h->vault, 0, see, &seen, &h->e));
    assert_int_equal(seen.n, 2);
}

static size_t entries(const char *path)
{
    DIR   *d = opendir(path);
    size_t n = 0;

    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void what_a_crash_left_half_written_goes_at_the_start_unless_somebody_writes(void **state)
{
    struct home  *h = *state;
    struct vault *other = NULL;
    struct uuid   uid;
    FILE         *f;

    open_vault(h, 0);
    uid = keep(h, HEAD, MAIL);
    f = fopen(inside(h, "held/tmp/0198-left.7"), "w");
    fclose(f);
    OK(h, vault_open(&(struct vault_how){.url = h->url, .keys = h->ring}, &other, &h->e));
    assert_int_equal(entries(inside(h, "held/tmp")), 1); /* it may be the first one's */
    vault_close(&other);
    reopen_vault(h);
    assert_int_equal(entries(inside(h, "held/tmp")), 0);
    require_mail(h, &uid, MAIL);
}

static void with_less_room_than_min_free_nothing_is_kept(void **state)
{
    struct home      *h = *state;
    struct uuid       uid = uuid7_make();
    struct vault_kept kept;
    int64_t           room;

    open_vault(h, INT64_C(1) << 60);
    FAILS(h, vault_put(h->vault, &uid, HEAD, MAIL, &kept, &h->e), ERR_FULL, "min_free");
    OK(h, vault_room(h->vault, &room, &h->e));
    assert_true(room < 0);
    assert_false(exists(object_path(h, &uid)));
    assert_int_equal(entries(inside(h, "held/tmp")), 0);
    vault_close(&h->vault);
    open_vault(h, 0);
    OK(h, vault_room(h->vault, &room, &h->e));
    assert_true(room > 0);
}

/* In a process of its own, whose exit status is what `body` says. */
static int apart(struct home *h, int (*body)(struct home *h))
{
    int   status = -1;
    pid_t child = fork();

    if (child == 0)
        _exit(body(h));
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100;
}

enum { AS_IT_SHOULD = 0, WAS_KEPT = 1, WRONG_CODE = 2, LEFT_BEHIND = 3, CANNOT = 4 };

static int try_to_keep(struct home *h, enum err_code want, size_t n)
{
    struct uuid       uid = uuid7_make();
    struct vault_kept kept;
    struct span       mail = span_make(big_mail(n), n);

    if (vault_put(h->vault, &uid, HEAD, mail, &kept, &h->e) == 0)
        return WAS_KEPT;
    if (h->e.code != want)
        return WRONG_CODE;
    return exists(object_path(h, &uid)) || entries(inside(h, "held/tmp")) > 0 ? LEFT_BEHIND : AS_IT_SHOULD;
}

static int under_a_file_limit(struct home *h)
{
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){300000, 300000});
    return try_to_keep(h, ERR_LIMIT, 2000000);
}

static void a_write_that_fails_in_the_middle_leaves_nothing(void **state)
{
    struct home *h = *state;

    open_vault(h, 0);
    assert_int_equal(apart(h, under_a_file_limit), AS_IT_SHOULD);
}

static int on_a_small_disk(struct home *h)
{
    int rc;

    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mkdir(inside(h, "held"), 0700) < 0 || mount("none", inside(h, "held"), "tmpfs", 0, "size=1m,mode=700") < 0)
        return CANNOT;
    open_vault(h, 0);
    for (int i = 0; i < 40; i++) { /* until it is full by what is written, not by what statvfs says */
        rc = try_to_keep(h, ERR_FULL, 100000);
        if (rc != WAS_KEPT)
            return rc;
    }
    return WAS_KEPT;
}

static void a_full_disk_is_an_error_and_leaves_nothing(void **state)
{
    int rc = apart(*state, on_a_small_disk);

    if (rc == CANNOT)
        SKIP("a small file system cannot be mounted here");
    assert_int_equal(rc, AS_IT_SHOULD);
}

static void an_address_that_names_no_place_is_refused(void **state)
{
    static const struct {
        const char *url, *words;
    } cases[] = {
        {"", "file:DIR"},
        {"file:", "file:DIR"},
        {"/var/lib/postern", "file:DIR"},
        {"ftp://host/x", "file:DIR"},
        {"s3+https://host/bucket?region=eu", "no spool"},
        {"s3+https://host/bucket?spool=/tmp/postern-nowhere", "region"},
        {"s3+https://host?region=eu&spool=/tmp/postern-nowhere", "HOST/BUCKET"},
        {"s3+https://host/bucket?region=EU!&spool=/tmp/postern-nowhere", "region"},
        {"s3+https://host/bucket?region=eu&spool=/tmp/x&credentials=/no/such", "credentials"},
    };
    struct home *h = *state;

    OK(h, keyring_create(h->keys, &h->e));
    OK(h, keyring_open(h->keys, &h->ring, &h->e));
    for (size_t i = 0; i < COUNT(cases); i++) {
        h->e = ERR_INIT;
        CHECK(cases[i].url,
              vault_open(&(struct vault_how){.url = cases[i].url, .keys = h->ring}, &h->vault, &h->e) < 0);
        CHECK(h->e.text, strstr(h->e.text, cases[i].words) != NULL);
    }
}

#define IN_A_HOME(test) cmocka_unit_test_setup_teardown(test, home_begin, home_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_HOME(what_is_kept_comes_back_as_it_was),
        IN_A_HOME(nothing_of_the_message_is_on_disk_in_the_clear),
        IN_A_HOME(a_repeated_uid_changes_nothing),
        IN_A_HOME(of_many_at_once_under_one_uid_one_is_kept_and_all_are_told_which),
        IN_A_HOME(without_its_key_a_message_stays_closed_and_the_key_is_named),
        IN_A_HOME(a_key_of_the_same_name_that_is_another_one_is_told),
        IN_A_HOME(an_object_under_another_name_does_not_open),
        IN_A_HOME(a_touched_head_is_seen_without_a_key_and_with_one),
        IN_A_HOME(every_cut_and_every_changed_byte_is_an_error),
        IN_A_HOME(who_only_reads_messages_gets_them_one_behind_the_other),
        IN_A_HOME(a_message_that_the_caller_has_no_room_for_is_an_error),
        IN_A_HOME(what_is_deleted_is_gone_and_told),
        IN_A_HOME(the_folder_of_a_day_that_is_over_goes_with_its_last_object),
        IN_A_HOME(all_are_walked_the_oldest_first_damaged_ones_told),
        IN_A_HOME(what_a_crash_left_half_written_goes_at_the_start_unless_somebody_writes),
        IN_A_HOME(with_less_room_than_min_free_nothing_is_kept),
        IN_A_HOME(a_write_that_fails_in_the_middle_leaves_nothing),
        IN_A_HOME(a_full_disk_is_an_error_and_leaves_nothing),
        IN_A_HOME(an_address_that_names_no_place_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
