/* SPDX-License-Identifier: MIT */
#include "verify.h"

#include <fcntl.h>
#include <string.h>

#include "attributes.h"
#include "sys.h"
#include "verify_place.h"

enum { KCMP_VM = 1 /* <linux/kcmp.h> */, PATH = 64 };

static uint64_t page_of(uint64_t at)
{
    return at & ~(uint64_t)(VERIFY_PAGE - 1);
}

static int note_areas(struct verify *v, struct note *n, char *room)
{
    struct span without[VERIFY_SPANS + 1];
    uint32_t count = v->setup.without_count, i;

    memcpy(without, v->setup.without, count * sizeof *without);
    without[count].start = (uint64_t)v;
    without[count++].end = (uint64_t)(v + 1);
    for (i = 0; i < count; i++) { /* mappings consist of whole pages */
        without[i].start = page_of(without[i].start);
        without[i].end = page_of(without[i].end + VERIFY_PAGE - 1);
    }
    note_start(n, room, VERIFY_AREAS);
    return areas_note(n, without, count);
}

static int note_files(struct verify *v, struct note *n, char *room)
{
    note_start(n, room, VERIFY_FILES);
    return descriptors_note(n, v->setup.is_own_fd, v->setup.own_fd_arg);
}

static int note_attributes(struct verify *v, struct note *n, char *room)
{
    note_start(n, room, VERIFY_ATTRIBUTES);
    return attributes_note(n, v->scratch, sizeof v->scratch);
}

static long root_directory(struct stat *st)
{
    return SYS(SYS_newfstatat, AT_FDCWD, "/", st, 0, 0, 0);
}

int verify_record(struct verify *v, const struct verify_setup *setup)
{
    struct stat st;
    int ret;

    if (setup->without_count > VERIFY_SPANS || setup->exempt_count > VERIFY_SPANS)
        return -E2BIG;
    v->setup = *setup;
    v->root = sys_getpid();
    v->session = sys_getsid(0);
    v->memory.holder = setup->holder;
    ret = (int)root_directory(&st);
    if (ret)
        return ret;
    v->root_dev = st.st_dev;
    v->root_ino = st.st_ino;
    ret = note_areas(v, &v->areas, v->areas_room[0]);
    return ret ? ret : note_files(v, &v->files, v->files_room[0]);
}

int verify_record_child(struct verify *v)
{
    return note_attributes(v, &v->attributes, v->attributes_room[0]);
}

/* --- memory ------------------------------------------------------------------------- */

static void put_address(struct text *why, const char *before, uint64_t at)
{
    text_str(why, before);
    text_str(why, "0x");
    note_hex(why, at);
}

static void describe(const struct verify *v, const struct area *a, const struct difference *d,
                     struct text *why)
{
    put_address(why, "memory at ", d->at);
    put_address(why, ", page ", page_of(d->at));
    put_address(why, ", offset ", d->at - a->start);
    put_address(why, " of mapping ", a->start);
    text_str(why, " ");
    if (a->name_len)
        text_escaped(why, (const uint8_t *)a->name, a->name_len);
    else
        text_str(why, "without a name");
    if (!d->expected_readable || !d->found_readable) {
        text_str(why, d->found_readable ? ": can be read, and could not" : ": cannot be read");
        return;
    }
    put_address(why, ": expected byte ", d->expected);
    put_address(why, ", found ", d->found);
    put_address(why, "; expected word ", d->expected_word);
    put_address(why, ", found ", d->found_word);
    place_name(&v->memory, &v->areas, v->setup.python_type, d->at, why);
}

static int compare_memory(struct verify *v, struct text *why)
{
    const char *line = v->areas.start;
    struct difference d;
    struct area a;
    int differs = 0;

    memory_open(&v->memory);
    while (!differs && areas_next(&v->areas, &line, &a))
        differs = memory_compare(&v->memory, &a, v->setup.exempt, v->setup.exempt_count, &d);
    if (differs)
        describe(v, &a, &d, why);
    memory_close(&v->memory);
    return differs;
}

/* --- processes ------------------------------------------------------------------------ */

/* May the worker have this child? One that detached into a session of its own,
 * and has memory of its own. */
static int may_live(const struct verify *v, int pid)
{
    int session;

    if (pid == v->setup.holder || pid == sys_getpid())
        return 1;
    session = sys_getsid(pid);
    if (session == -ESRCH) /* it is gone meanwhile */
        return 1;
    return session != v->session && SYS(SYS_kcmp, v->root, pid, KCMP_VM, 0, 0, 0) != 0;
}

static int compare_children(struct verify *v, struct text *why)
{
    char path[PATH], name[PATH];
    struct text t = {name, name + PATH - 1};
    const char *s = v->scratch;
    int pid = 0;

    text_str(&t, "task/");
    text_num(&t, (uint64_t)v->root);
    text_str(&t, "/children");
    *t.at = 0;
    note_path(path, sizeof path, v->root, name);
    if (note_read(path, v->scratch, sizeof v->scratch) < 0)
        return 0; /* this kernel does not tell */
    for (; *s; s++) {
        if (*s >= '0' && *s <= '9') {
            pid = pid * 10 + (*s - '0');
            continue;
        }
        if (pid && !may_live(v, pid)) {
            text_str(why, "process ");
            text_num(why, (uint64_t)pid);
            text_str(why, ": a child of the worker that is left over");
            return 1;
        }
        pid = 0;
    }
    return 0;
}

/* --- everything ----------------------------------------------------------------------- */

/* Behind another root directory there is no /proc to ask. */
static int compare_root(struct verify *v, struct text *why)
{
    struct stat st;
    long ret = root_directory(&st);

    if (ret || (st.st_dev == v->root_dev && st.st_ino == v->root_ino))
        return (int)ret;
    text_str(why, "attribute root directory: expected inode ");
    text_num(why, v->root_ino);
    text_str(why, ", found ");
    text_num(why, st.st_ino);
    return 1;
}

static int compare_attributes(struct verify *v, struct text *why)
{
    int ret = note_attributes(v, &v->attributes_now, v->attributes_room[1]);

    return ret ? ret : note_compare(&v->attributes, &v->attributes_now, "attribute", why);
}

static int compare_files(struct verify *v, struct text *why)
{
    int ret = note_files(v, &v->files_now, v->files_room[1]);

    return ret ? ret : note_compare(&v->files, &v->files_now, "descriptor", why);
}

static int compare_areas(struct verify *v, struct text *why)
{
    int ret = note_areas(v, &v->areas_now, v->areas_room[1]);

    return ret ? ret : note_compare(&v->areas, &v->areas_now, "mapping", why);
}

/* Each relies on those before it: only memory that is mapped as it was can be
 * compared, and a process of another user could not read the holder. */
static const struct {
    const char *what;
    int (*compare)(struct verify *, struct text *);
} PARTS[] = {
    {"the root directory", compare_root}, {"mappings", compare_areas},
    {"attributes", compare_attributes},   {"descriptors", compare_files},
    {"memory", compare_memory},           {"processes", compare_children},
};

int verify_compare(struct verify *v, struct text *why)
{
    unsigned i;
    int ret = 0;

    for (i = 0; i < sizeof PARTS / sizeof *PARTS && !ret; i++) {
        ret = PARTS[i].compare(v, why);
        if (ret < 0) {
            text_str(why, PARTS[i].what);
            text_str(why, " cannot be compared, errno ");
            text_num(why, (uint64_t)-ret);
        }
    }
    return ret;
}
