/* cli/doctor_owners.c - whose the files are: all the same user's, and readable by nobody who should not.
 *
 * A folder or file of root's among those of the programs' user is what a command of root's has left behind, from before the
 * folders had their owner: the programs cannot read it. */
#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor.h"
#include "owner.h"

#define USER "postern" /* whom our units run the programs as */
#define CURE_OWNER                                                                                                     \
    "as root: postern init --user NAME, with the user whom the programs run as; or chown -R what is named, and "       \
    "restart"
#define CURE_MODE "chmod go-rwx what is named: it is for the programs alone"

struct owners {
    struct doctor *d;
    uid_t          uid; /* the programs' */
    size_t         seen, wrong;
};

static const char *name_of(uid_t uid, char out[32])
{
    const struct passwd *pw = getpwuid(uid);

    snprintf(out, 32, "%.31s", pw != NULL ? pw->pw_name : "");
    if (pw == NULL)
        snprintf(out, 32, "user %u", (unsigned)uid);
    return out;
}

/* A group may read keys, on purpose (docs/custody.md): then they need not be the user's own. */
static bool shares_with_group(const struct stat *st) { return (st->st_mode & S_IRGRP) != 0; }

static void look_at(struct owners *o, const char *path, const struct stat *st, mode_t refused)
{
    char is[32], wanted[32];

    o->seen++;
    if (st->st_uid != o->uid && !(refused == S_IRWXO && shares_with_group(st))) {
        if (o->wrong++ == 0)
            doctor_find(o->d, FINDING_WRONG, CURE_OWNER, "%s belongs to %s, and the programs' user is %s", path,
                        name_of(st->st_uid, is), name_of(o->uid, wanted));
    } else if ((st->st_mode & refused) != 0) {
        if (o->wrong++ == 0)
            doctor_find(o->d, FINDING_WRONG, CURE_MODE, "%s has mode %04o", path, (unsigned)st->st_mode & 07777);
    }
}

/* The files of a folder, and the folders in it; not what lies in those. */
static void look_into(struct owners *o, const struct owner_folder *f)
{
    DIR                 *list = opendir(f->path);
    const struct dirent *d;

    while (list != NULL && (d = readdir(list)) != NULL) {
        char        path[OWNER_PATH + 260];
        struct stat st;
        bool secret = span_ends(span_of(d->d_name), SPAN(".key")) || span_ends(span_of(d->d_name), SPAN(".secret"));

        if (d->d_name[0] == '.' || fstatat(dirfd(list), d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", f->path, d->d_name);
        if (S_ISDIR(st.st_mode))
            look_at(o, path, &st, 0); /* those of look-ups are for others to pass through */
        else if (S_ISREG(st.st_mode))
            look_at(o, path, &st,
                    secret                                       ? S_IRWXO
                    : span_ends(span_of(d->d_name), SPAN(".db")) ? S_IRWXG | S_IRWXO
                                                                 : 0);
    }
    if (list != NULL)
        closedir(list);
}

void doctor_owners(struct doctor *d)
{
    struct owner_folder  all[OWNER_FOLDERS];
    size_t               n = owner_folders(d->c->settings, all);
    struct owners        o = {.d = d};
    const struct passwd *ours = getpwnam(USER);
    struct stat          st;
    char                 name[32];
    bool                 known = false;

    for (size_t i = 0; i < n; i++) {
        if (stat(all[i].path, &st) < 0)
            continue; /* "keys" and "database" say so, and held mail's is made by rulesd */
        if (!known) {
            o.uid = st.st_uid == 0 && ours != NULL ? ours->pw_uid : st.st_uid;
            known = true;
        }
        look_at(&o, all[i].path, &st, strcmp(all[i].what, "the keys") == 0 ? S_IRWXO : S_IWGRP | S_IWOTH);
        look_into(&o, &all[i]);
    }
    if (known && o.wrong == 0)
        doctor_find(d, FINDING_OK, NULL, "%zu files and folders belong to %s", o.seen, name_of(o.uid, name));
    else if (o.wrong > 1)
        doctor_find(d, FINDING_NOTE, CURE_OWNER, "the same is so of %zu more", o.wrong - 1);
}
