/* tests/unit/rulesd_logfile.c - twin of rulesd/logfile.c: a log that is written, rotated and read, in any order of the three. */
#include "../../rulesd/logfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "check.h"
#include "databases.h"

#define FILES 50

/* A folder with a log, who writes it, and who reads it. Times of files are ours, a second for each change: a real one has them too. */
struct place {
    char            dir[100], path[120];
    int64_t         clock_s, now_us;
    struct logfile *f;
    char            read[1 << 16]; /* lines that were read, each with a blank behind */
};

static void place_begin(struct place *p)
{
    memset(p, 0, sizeof *p);
    snprintf(p->dir, sizeof p->dir, "%s/postern-log-XXXXXX", memory_dir());
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->path, sizeof p->path, "%s/mail.log", p->dir);
    p->clock_s = 1700000000;
    p->f = logfile_new(p->path);
}

static void place_end(struct place *p)
{
    logfile_free(&p->f);
    remove_tree(p->dir);
}

static const char *rotated(const struct place *p, int n)
{
    static char path[2][140];
    static int  which;

    which = !which;
    snprintf(path[which], sizeof path[which], "%s.%d", p->path, n);
    return path[which];
}

static void touch(struct place *p, const char *path)
{
    struct timespec times[2] = {{.tv_sec = ++p->clock_s}, {.tv_sec = p->clock_s}};

    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void append_to(struct place *p, const char *path, const char *text)
{
    FILE *out = fopen(path, "a");

    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    touch(p, path);
}

static void append(struct place *p, const char *text) { append_to(p, p->path, text); }

static void shift(struct place *p)
{
    for (int n = FILES; n >= 1; n--)
        rename(rotated(p, n), rotated(p, n + 1));
}

static void rename_log(struct place *p)
{
    shift(p);
    assert_int_equal(rename(p->path, rotated(p, 1)), 0);
}

static void copy_and_truncate(struct place *p)
{
    struct buf b;
    struct err e = ERR_INIT;
    FILE      *out;

    shift(p);
    buf_init(&b, 1 << 22);
    assert_int_equal(fd_read_file(p->path, 1 << 22, &b, &e), 0);
    assert_non_null(out = fopen(rotated(p, 1), "w"));
    assert_int_equal(fwrite(b.p, 1, b.n, out), b.n);
    fclose(out);
    touch(p, rotated(p, 1));
    assert_int_equal(truncate(p->path, 0), 0);
    touch(p, p->path);
    buf_fini(&b);
}

/* Everything that can be read now. */
static void catch_up(struct place *p)
{
    struct span line;
    int64_t     at;
    struct err  e = ERR_INIT;

    for (int idle = 0; idle < 3;) {
        p->now_us += 2000000;
        while (logfile_line(p->f, &line, &at)) {
            size_t n = strlen(p->read);

            assert_true(n + line.n + 2 < sizeof p->read);
            snprintf(p->read + n, sizeof p->read - n, "%.*s ", SPAN_ARG(line));
        }
        switch (logfile_read(p->f, p->now_us, &e)) {
        case LOGFILE_LINES: idle = 0; break;
        case LOGFILE_NOTHING: idle++; break;
        case LOGFILE_ENDED: logfile_turn(p->f); break;
        case LOGFILE_BAD: fail_msg("%s", e.text);
        }
    }
}

static bool leave_and_come_back(struct place *p, const struct logfile_mark *mark)
{
    bool lost;

    logfile_free(&p->f);
    p->f = logfile_new(p->path);
    logfile_resume(p->f, mark, &lost);
    return lost;
}

static struct logfile_mark here(const struct place *p)
{
    struct logfile_mark m;

    logfile_mark(p->f, logfile_place(p->f), &m);
    return m;
}

/* ---- tests ---- */

static void a_line_counts_once_its_end_is_there(void **unused)
{
    struct place p;

    (void)unused;
    place_begin(&p);
    catch_up(&p);
    append(&p, "one\ntw");
    catch_up(&p);
    assert_string_equal(p.read, "one ");
    append(&p, "o\nthree\n");
    catch_up(&p);
    assert_string_equal(p.read, "one two three ");
    place_end(&p);
}

static void a_renamed_file_is_read_to_its_end_before_the_next(void **unused)
{
    struct place p;

    (void)unused;
    place_begin(&p);
    append(&p, "one\n");
    catch_up(&p);
    append(&p, "two\n");
    rename_log(&p);
    append_to(&p, rotated(&p, 1), "three\n");
    catch_up(&p);
    append_to(&p, rotated(&p, 1), "four\n");
    append(&p, "five\n");
    catch_up(&p);
    append(&p, "six\n");
    catch_up(&p);
    assert_string_equal(p.read, "one two three four five six ");
    place_end(&p);
}

static void who_still_writes_to_a_renamed_file_is_heard(void **unused)
{
    struct place p;
    struct err   e = ERR_INIT;
    struct span  line;
    int64_t      at;

    (void)unused;
    place_begin(&p);
    append(&p, "one\n");
    catch_up(&p);
    rename_log(&p);
    append(&p, "three\n");
    append_to(&p, rotated(&p, 1), "two\n");
    assert_int_equal(logfile_read(p.f, p.now_us, &e), LOGFILE_LINES);
    assert_true(logfile_line(p.f, &line, &at) && span_is(line, "two"));
    assert_int_equal(logfile_read(p.f, p.now_us + 900000, &e), LOGFILE_NOTHING);
    assert_int_equal(logfile_read(p.f, p.now_us + 1000000, &e), LOGFILE_ENDED);
    place_end(&p);
}

static void a_truncated_file_is_read_on_from_its_copy(void **unused)
{
    struct place p;

    (void)unused;
    place_begin(&p);
    append(&p, "one\n");
    catch_up(&p);
    append(&p, "two\nthr");
    copy_and_truncate(&p);
    append(&p, "four is longer than all that stood there before\n");
    catch_up(&p);
    append(&p, "five\n");
    catch_up(&p);
    assert_string_equal(p.read, "one two four is longer than all that stood there before five ");
    place_end(&p);
}

static void a_file_that_is_emptied_without_a_copy_is_read_from_its_front(void **unused)
{
    struct place p;

    (void)unused;
    place_begin(&p);
    append(&p, "one\n");
    catch_up(&p);
    assert_int_equal(truncate(p.path, 0), 0);
    append(&p, "two\n");
    catch_up(&p);
    assert_string_equal(p.read, "one two ");
    place_end(&p);
}

static void what_was_rotated_while_nobody_looked_is_read_in_order(void **unused)
{
    static void (*const ways[])(struct place *) = {rename_log, copy_and_truncate};

    (void)unused;
    for (size_t first = 0; first < COUNT(ways); first++) {
        for (size_t second = 0; second < COUNT(ways); second++) {
            struct place p;

            place_begin(&p);
            append(&p, "old\n");
            ways[first](&p);
            append(&p, "one\n");
            catch_up(&p);
            struct logfile_mark m = here(&p);
            p.read[0] = '\0';
            append(&p, "two\n");
            ways[first](&p);
            append(&p, "three\n");
            ways[second](&p);
            append(&p, "four\n");
            assert_false(leave_and_come_back(&p, &m));
            catch_up(&p);
            assert_string_equal(p.read, "two three four ");
            place_end(&p);
        }
    }
}

static void what_was_compressed_before_it_was_read_is_lost_and_said_so(void **unused)
{
    struct place p;
    char         gz[140];

    (void)unused;
    place_begin(&p);
    append(&p, "one\n");
    catch_up(&p);
    struct logfile_mark m = here(&p);
    p.read[0] = '\0';
    append(&p, "two\n");
    snprintf(gz, sizeof gz, "%s.1.gz", p.path);
    assert_int_equal(rename(p.path, gz), 0);
    append(&p, "three\n");
    assert_true(leave_and_come_back(&p, &m));
    catch_up(&p);
    assert_string_equal(p.read, "three ");
    place_end(&p);
}

static void an_inode_that_was_used_again_is_not_taken_for_the_file(void **unused)
{
    struct place p;

    (void)unused;
    place_begin(&p);
    append(&p, "one\n");
    catch_up(&p);
    struct logfile_mark m = here(&p);
    p.read[0] = '\0';
    assert_int_equal(truncate(p.path, 0), 0);
    append(&p, "two\nthree\n");
    assert_true(leave_and_come_back(&p, &m));
    catch_up(&p);
    assert_string_equal(p.read, "two three ");
    place_end(&p);
}

static void a_line_without_end_is_passed_over(void **unused)
{
    struct place p;
    FILE        *out;

    (void)unused;
    place_begin(&p);
    append(&p, "one\n");
    assert_non_null(out = fopen(p.path, "a"));
    for (int i = 0; i < 400000; i++)
        fputc('x', out);
    fclose(out);
    append(&p, "\ntwo\n");
    catch_up(&p);
    assert_string_equal(p.read, "one two ");
    place_end(&p);
}

static void keep_line(void *ctx, struct span line)
{
    char *all = ctx;

    snprintf(all + strlen(all), 100, "%.*s ", SPAN_ARG(line));
}

static void the_lines_before_a_place_can_be_recalled(void **unused)
{
    struct place p;
    char         got[200] = "";

    (void)unused;
    place_begin(&p);
    append(&p, "one\ntwo\nthr");
    catch_up(&p);
    struct logfile_mark m = here(&p);
    append(&p, "ee\n");
    assert_false(leave_and_come_back(&p, &m));
    logfile_recall(p.f, keep_line, got);
    assert_string_equal(got, "one two ");
    place_end(&p);
}

static void add_lines(struct place *p, unsigned *number, char *all)
{
    char line[40];

    for (int n = rand() % 4; n >= 0; n--) {
        snprintf(line, sizeof line, "line-%u\n", ++*number);
        append(p, line);
        snprintf(all + strlen(all), 40, "line-%u ", *number);
    }
}

static void come_back(struct place *p)
{
    struct logfile_mark m = here(p);

    assert_false(leave_and_come_back(p, &m));
}

/* Whatever happens in whatever order, as long as it is not compressed: every line once, in order. */
static void nothing_is_lost_or_doubled_in_any_order_of_events(void **unused)
{
    (void)unused;
    for (unsigned seed = 1; seed <= 60; seed++) {
        struct place p;
        char         want[1 << 14] = "";
        unsigned     number = 0;

        srand(seed);
        place_begin(&p);
        add_lines(&p, &number, want);
        catch_up(&p);
        for (int step = 0; step < 60; step++) {
            int what = rand() % 6;

            /* Who has read nothing of a file cannot know later what it was. */
            if (what == 1 || what == 3)
                catch_up(&p);
            add_lines(&p, &number, want);
            if (what == 0) {
                rename_log(&p);
                append(&p, "");
            } else if (what == 1) {
                copy_and_truncate(&p);
            } else if (what == 2) {
                catch_up(&p);
            } else if (what == 3) {
                come_back(&p);
            }
        }
        catch_up(&p);
        if (strcmp(want, p.read) != 0)
            fail_msg("seed %u:\n%s\nnot\n%s", seed, p.read, want);
        place_end(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_counts_once_its_end_is_there),
        cmocka_unit_test(a_renamed_file_is_read_to_its_end_before_the_next),
        cmocka_unit_test(who_still_writes_to_a_renamed_file_is_heard),
        cmocka_unit_test(a_truncated_file_is_read_on_from_its_copy),
        cmocka_unit_test(a_file_that_is_emptied_without_a_copy_is_read_from_its_front),
        cmocka_unit_test(what_was_rotated_while_nobody_looked_is_read_in_order),
        cmocka_unit_test(what_was_compressed_before_it_was_read_is_lost_and_said_so),
        cmocka_unit_test(an_inode_that_was_used_again_is_not_taken_for_the_file),
        cmocka_unit_test(a_line_without_end_is_passed_over),
        cmocka_unit_test(the_lines_before_a_place_can_be_recalled),
        cmocka_unit_test(nothing_is_lost_or_doubled_in_any_order_of_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
