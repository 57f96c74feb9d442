/* cli/owner.c - see owner.h. */
#include "owner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

/* ---- which ------------------------------------------------------------------------------------------------------- */

static bool set_path(struct owner_folder *f, const char *what, unsigned mode, struct span path)
{
    if (path.n == 0 || path.n >= sizeof f->path)
        return false;
    *f = (struct owner_folder){.what = what, .mode = mode};
    memcpy(f->path, path.p, path.n);
    return true;
}

static struct span folder_of(struct span file)
{
    size_t slash = span_rchr(file, '/');

    return slash == file.n ? SPAN(".") : slash == 0 ? SPAN("/") : span_head(file, slash);
}

/* "file:DIR", or "s3+https://…?…&spool=DIR". */
static struct span held_mail(struct span url)
{
    size_t spool = span_find(url, SPAN("spool="));

    if (span_starts(url, SPAN("file:")))
        return span_skip(url, 5);
    url = span_skip(url, spool + 6);
    return span_head(url, span_chr(url, '&'));
}

size_t owner_folders(const struct settings *s, struct owner_folder out[OWNER_FOLDERS])
{
    struct span store = span_of(s->store.url);
    size_t      n = 0;

    if (span_starts(store, SPAN("sqlite:"))) /* look-up files of others lie below: they may pass through */
        n += set_path(&out[n], "the database", 0711, folder_of(span_skip(store, 7)));
    n += set_path(&out[n], "the keys", 0700, span_of(s->quarantine.keys));
    n += set_path(&out[n], "held mail", 0700, held_mail(span_of(s->quarantine.url)));
    return n;
}

/* ---- giving ------------------------------------------------------------------------------------------------------ */

/* Root's plain files alone, of one name: the folder was root's until now, so nobody else has put them there. */
static int give_file(int dir, const char *path, const char *name, const struct passwd *who, struct err *e)
{
    struct stat st;
    int         rc = 0, fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return errno == ELOOP || errno == ENXIO || errno == ENOENT ? 0 : err_errno(e, "open %s/%s", path, name);
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == 0 && st.st_nlink == 1 &&
        fchown(fd, who->pw_uid, who->pw_gid) < 0)
        rc = err_errno(e, "give %s/%s to %s", path, name, who->pw_name);
    fd_close(&fd);
    return rc;
}

static int give_files(int dir, const char *path, const struct passwd *who, struct err *e)
{
    int                  rc = 0, copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR                 *list = copy >= 0 ? fdopendir(copy) : NULL;
    const struct dirent *d;

    if (list == NULL) {
        err_errno(e, "list %s", path);
        fd_close(&copy);
        return -1;
    }
    while (rc == 0 && (d = readdir(list)) != NULL)
        if (d->d_name[0] != '.')
            rc = give_file(dir, path, d->d_name, who, e);
    closedir(list);
    return rc;
}

static int give_folder(const struct owner_folder *f, const struct passwd *who, struct err *e)
{
    struct stat st;
    int         fd, rc = -1;

    if (fd_mkdirs(f->path, f->mode, e) < 0)
        return -1;
    if ((fd = open(f->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0 || fstat(fd, &st) < 0)
        err_errno(e, "open %s", f->path);
    else if (st.st_uid != 0 && st.st_uid != who->pw_uid)
        err_set(e, ERR_CONFLICT, "%s, where %s is to lie, belongs to neither root nor %s", f->path, f->what,
                who->pw_name);
    else if (st.st_uid == 0 && (give_files(fd, f->path, who, e) < 0))
        ;
    else if (st.st_uid == 0 && fchown(fd, who->pw_uid, who->pw_gid) < 0)
        err_errno(e, "give %s to %s", f->path, who->pw_name);
    else
        rc = 0;
    fd_close(&fd);
    return rc;
}

int owner_give(const struct settings *s, const char *user, struct err *e)
{
    struct owner_folder  all[OWNER_FOLDERS];
    const struct passwd *who = getpwnam(user);
    size_t               n = owner_folders(s, all);

    if (who == NULL)
        return err_set(e, ERR_NOT_FOUND, "there is no user %s on this machine", user);
    if (geteuid() != 0)
        return err_set(e, ERR_DENIED, "only root gives files to %s", user);
    for (size_t i = 0; i < n; i++)
        if (give_folder(&all[i], who, e) < 0)
            return -1;
    return 0;
}
