/* tests/unit/vault_bucket.c - held mail on its way into a bucket, and in it: lib/net/object_store.c behind lib/vault/vault.c. */
#include "bucket.h"
#include "net/object_store.h"
#include "vault.h"

#define HEAD SPAN("{\"sender\":\"x@bad.example\"}")
#define MAIL SPAN("From: x@bad.example\nSubject: prize\n\nYou have won.\n")

static struct bucket *bucket;

static int begin(void **state)
{
    struct home *h;

    if (home_begin(state) < 0)
        return -1;
    h = *state;
    bucket = bucket_start();
    snprintf(h->url, sizeof h->url, "s3+http://127.0.0.1:%u/bucket/held/mail?region=eu-test-1&spool=%s/held",
             bucket->port, h->dir);
    return 0;
}

static int end(void **state)
{
    int rc = home_end(state);

    assert_int_equal(atomic_load(&bucket->forged), 0);
    bucket_stop(&bucket);
    return rc;
}

static struct uuid keep(struct home *h, struct span head, struct span mail)
{
    struct uuid       uid = uuid7_make();
    struct vault_kept kept;

    OK(h, vault_put(h->vault, &uid, head, mail, &kept, &h->e));
    return uid;
}

static void require_mail(struct home *h, const struct uuid *uid, struct span mail)
{
    struct buf head, got;

    buf_init(&head, VAULT_HEAD_MAX);
    buf_init(&got, 1 << 24);
    OK(h, vault_get(h->vault, uid, &head, &got, &h->e));
    assert_true(span_eq(buf_span(&got), mail));
    assert_true(span_eq(buf_span(&head), HEAD));
    buf_fini(&head);
    buf_fini(&got);
}

static void what_is_uploaded_leaves_the_spool_and_is_read_from_the_bucket(void **state)
{
    struct home      *h = *state;
    struct uuid       uid;
    struct buf        head;
    struct vault_kept before, after;

    open_vault(h, 0);
    assert_true(vault_has_bucket(h->vault));
    uid = keep(h, HEAD, MAIL);
    assert_int_equal(bucket_count(bucket), 0); /* custody is the spool */
    require_mail(h, &uid, MAIL);
    OK(h, vault_head(h->vault, &uid, NULL, &before, &h->e));
    OK(h, vault_upload(h->vault, &uid, &h->e));
    assert_false(exists(object_path(h, &uid)));
    assert_int_equal(bucket_count(bucket), 1);
    assert_int_equal(strncmp(bucket->objects[0].name, "held/mail/20", 12), 0);
    require_mail(h, &uid, MAIL);

    buf_init(&head, VAULT_HEAD_MAX);
    OK(h, vault_head(h->vault, &uid, &head, &after, &h->e));
    assert_true(span_eq(buf_span(&head), HEAD));
    assert_memory_equal(before.sha256, after.sha256, 32);
    assert_int_equal(before.bytes, after.bytes);
    buf_fini(&head);
    FAILS(h, vault_upload(h->vault, &uid, &h->e), ERR_NOT_FOUND, "not held");
}

static void a_long_head_and_a_large_message_come_back_too(void **state)
{
    struct home *h = *state;
    size_t       n = 5 << 20;
    char        *text = malloc(n);
    struct buf   head, mail;
    struct uuid  uid;

    randombytes_buf(text, n);
    open_vault(h, 0);
    uid = keep(h, span_make(text, 300000), span_make(text, n));
    OK(h, vault_upload(h->vault, &uid, &h->e));
    buf_init(&head, VAULT_HEAD_MAX);
    buf_init(&mail, n);
    OK(h, vault_head(h->vault, &uid, &head, NULL, &h->e));
    assert_true(span_eq(buf_span(&head), span_make(text, 300000)));
    OK(h, vault_get(h->vault, &uid, NULL, &mail, &h->e));
    assert_true(span_eq(buf_span(&mail), span_make(text, n)));
    buf_fini(&head);
    buf_fini(&mail);
    free(text);
}

static void while_the_bucket_is_away_the_spool_keeps_it(void **state)
{
    static const struct {
        enum bucket_fault fault;
        enum err_code     code;
        const char       *words;
    } faults[] = {
        {BUCKET_BUSY, ERR_LOST, "503"},
        {BUCKET_HANGS_UP, ERR_LOST, "look into the bucket"},
        {BUCKET_FORGETS, ERR_LOST, "does not have it"},
    };
    struct home *h = *state;
    struct uuid  uid;

    open_vault(h, 0);
    uid = keep(h, HEAD, MAIL);
    for (size_t i = 0; i < COUNT(faults); i++) {
        atomic_store(&bucket->fault, faults[i].fault);
        FAILS(h, vault_upload(h->vault, &uid, &h->e), faults[i].code, faults[i].words);
        require_mail(h, &uid, MAIL);
        assert_true(exists(object_path(h, &uid)));
    }
    atomic_store(&bucket->fault, BUCKET_WELL);
    OK(h, vault_upload(h->vault, &uid, &h->e));
    require_mail(h, &uid, MAIL);
}

/* It died between the upload and the removal from the spool. */
static void an_upload_that_was_interrupted_is_finished_without_another(void **state)
{
    struct home *h = *state;
    struct uuid  uid;
    char         command[600], path[256];
    size_t       requests;

    open_vault(h, 0);
    uid = keep(h, HEAD, MAIL);
    snprintf(path, sizeof path, "%s", object_path(h, &uid));
    snprintf(command, sizeof command, "cp %s %s/copy", path, h->dir);
    assert_int_equal(system(command), 0);
    OK(h, vault_upload(h->vault, &uid, &h->e));
    snprintf(command, sizeof command, "cp %s/copy %s", h->dir, path);
    assert_int_equal(system(command), 0);
    requests = atomic_load(&bucket->requests);
    OK(h, vault_upload(h->vault, &uid, &h->e));
    assert_int_equal(atomic_load(&bucket->requests), requests + 1);
    assert_false(exists(path));
    require_mail(h, &uid, MAIL);
}

static void another_message_under_the_name_is_neither_overwritten_nor_believed(void **state)
{
    struct home *h = *state;
    struct uuid  one, two;

    open_vault(h, 0);
    one = keep(h, HEAD, MAIL);
    two = keep(h, HEAD, SPAN("another one"));
    OK(h, vault_upload(h->vault, &one, &h->e));
    pthread_mutex_lock(&bucket->lock);
    memcpy(bucket->objects[0].name + strlen(bucket->objects[0].name) - UUID_TEXT,
           strrchr(object_path(h, &two), '/') + 1, UUID_TEXT);
    pthread_mutex_unlock(&bucket->lock);
    FAILS(h, vault_upload(h->vault, &two, &h->e), ERR_CORRUPT, "another message");
    require_mail(h, &two, SPAN("another one"));
    FAILS(h, vault_head(h->vault, &one, NULL, NULL, &h->e), ERR_NOT_FOUND, "not held");
}

static void deleting_takes_it_from_both_places(void **state)
{
    struct home *h = *state;
    struct uuid  spooled, uploaded;

    open_vault(h, 0);
    spooled = keep(h, HEAD, MAIL);
    uploaded = keep(h, HEAD, MAIL);
    OK(h, vault_upload(h->vault, &uploaded, &h->e));
    OK(h, vault_delete(h->vault, &spooled, &h->e));
    OK(h, vault_delete(h->vault, &uploaded, &h->e));
    assert_int_equal(bucket_count(bucket), 0);
    FAILS(h, vault_delete(h->vault, &spooled, &h->e), ERR_NOT_FOUND, "not held");
    FAILS(h, vault_delete(h->vault, &uploaded, &h->e), ERR_NOT_FOUND, "not held");
    spooled = keep(h, HEAD, MAIL);
    atomic_store(&bucket->fault, BUCKET_BUSY);
    FAILS(h, vault_delete(h->vault, &spooled, &h->e), ERR_LOST, "503");
    require_mail(h, &spooled, MAIL);
}

struct seen {
    struct uuid uids[16];
    size_t      n;
};

static int see(void *ctx, const struct uuid *uid, struct span head, const struct vault_kept *kept)
{
    struct seen *s = ctx;

    assert_non_null(kept);
    assert_true(span_eq(head, HEAD));
    s->uids[s->n++] = *uid;
    return 0;
}

static int see_name(void *ctx, const struct uuid *uid) { return see(ctx, uid, HEAD, &(struct vault_kept){.bytes = 1}); }

static void all_are_walked_wherever_they_are_each_once(void **state)
{
    struct home      *h = *state;
    struct uuid       uids[9];
    struct vault_kept kept;
    struct seen       seen = {.n = 0};

    open_vault(h, 0);
    for (size_t i = 0; i < COUNT(uids); i++) { /* over five days; more than a page */
        int64_t ms = clock_wall_us() / 1000 - (int64_t)(8 - i) / 2 * 86400000;

        uids[i] = uuid7_make();
        for (size_t k = 0; k < 6; k++)
            uids[i].b[k] = (uint8_t)(ms >> (40 - 8 * k));
        OK(h, vault_put(h->vault, &uids[i], HEAD, MAIL, &kept, &h->e));
        if (i % 4 != 0)
            OK(h, vault_upload(h->vault, &uids[i], &h->e));
    }
    OK(h, vault_put(h->vault, &uids[1], HEAD, MAIL, &kept, &h->e)); /* in both */
    OK(h, vault_each(h->vault, 0, see, &seen, &h->e));
    assert_int_equal(seen.n, COUNT(uids));
    for (size_t i = 1; i < seen.n; i++)
        assert_true(uuid_cmp(&seen.uids[i - 1], &seen.uids[i]) < 0);
    seen.n = 0;
    OK(h, vault_each_here(h->vault, 0, see_name, &seen, &h->e));
    assert_int_equal(seen.n, 4);
    atomic_store(&bucket->fault, BUCKET_BUSY);
    FAILS(h, vault_each(h->vault, 0, see, &seen, &h->e), ERR_LOST, "503");
}

static void credentials_come_from_a_file_that_is_safe(void **state)
{
    struct home *h = *state;
    struct uuid  uid;
    FILE        *f;

    unsetenv("AWS_ACCESS_KEY_ID");
    OK(h, keyring_create(h->keys, &h->e));
    OK(h, keyring_open(h->keys, &h->ring, &h->e));
    FAILS(h, vault_open(&(struct vault_how){.url = h->url, .keys = h->ring}, &h->vault, &h->e), ERR_INVALID,
          "AWS_ACCESS_KEY_ID");
    f = fopen(inside(h, "s3"), "w");
    fprintf(f, "access_key=%s\n\nsecret_key=%s\n", BUCKET_ID, BUCKET_SECRET);
    fclose(f);
    strcat(strcat(h->url, "&credentials="), inside(h, "s3"));
    chmod(inside(h, "s3"), 0644);
    FAILS(h, vault_open(&(struct vault_how){.url = h->url, .keys = h->ring}, &h->vault, &h->e), ERR_INVALID,
          "chmod 0400");
    chmod(inside(h, "s3"), 0400);
    open_vault(h, 0);
    uid = keep(h, HEAD, MAIL);
    OK(h, vault_upload(h->vault, &uid, &h->e));
    require_mail(h, &uid, MAIL);
}

static void with_wrong_credentials_nothing_leaves_the_spool(void **state)
{
    struct home *h = *state;
    struct uuid  uid;

    setenv("AWS_SECRET_ACCESS_KEY", "guessed", 1);
    open_vault(h, 0);
    uid = keep(h, HEAD, MAIL);
    FAILS(h, vault_upload(h->vault, &uid, &h->e), ERR_DENIED, "SignatureDoesNotMatch");
    require_mail(h, &uid, MAIL);
    assert_int_equal(atomic_exchange(&bucket->forged, 0), 1);
}

#define WITH_BUCKET(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BUCKET(what_is_uploaded_leaves_the_spool_and_is_read_from_the_bucket),
        WITH_BUCKET(a_long_head_and_a_large_message_come_back_too),
        WITH_BUCKET(while_the_bucket_is_away_the_spool_keeps_it),
        WITH_BUCKET(an_upload_that_was_interrupted_is_finished_without_another),
        WITH_BUCKET(another_message_under_the_name_is_neither_overwritten_nor_believed),
        WITH_BUCKET(deleting_takes_it_from_both_places),
        WITH_BUCKET(all_are_walked_wherever_they_are_each_once),
        WITH_BUCKET(credentials_come_from_a_file_that_is_safe),
        WITH_BUCKET(with_wrong_credentials_nothing_leaves_the_spool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
