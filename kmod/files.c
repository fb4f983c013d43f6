// SPDX-License-Identifier: GPL-2.0
/* Tables of descriptors of lwCs: copied, shared, switched, overlaid. */
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/nsproxy.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "context.h"
#include "files.h"
#include "specs.h"
#include "symbols.h"

/* Makes `files` the calling thread's table; returns what it was. No reference is taken or put. */
struct files_struct *lwc_files_swap(struct files_struct *files)
{
    struct files_struct *before = current->files;

    task_lock(current);
    current->files = files;
    task_unlock(current);
    return before;
}

static unsigned int room_of_current(void)
{
    unsigned int room;

    rcu_read_lock();
    room = files_fdtable(current->files)->max_fds;
    rcu_read_unlock();
    return room;
}

static void close_range_of_current(u64 start, u64 end)
{
    u64 fd, most = min_t(u64, end, room_of_current());

    for (fd = start; fd < most; fd++)
        close_fd(fd);
}

/* The calling thread's descriptors that are to be unmapped. */
void lwc_files_close(const struct lwc_specs *specs)
{
    unsigned int i;

    for (i = 0; i < specs->count; i++)
        if (specs->spec[i].kind == LWC_FILES && specs->spec[i].action == LWC_UNMAP)
            close_range_of_current(specs->spec[i].start, specs->spec[i].end);
}

/* Nobody else has the table yet, but closing is done by the functions for one's own. */
static void close_unmapped(struct lwc_group *group, struct files_struct *files,
                           const struct lwc_specs *specs)
{
    struct files_struct *own = lwc_files_swap(files);

    group->quiet = true;
    lwc_files_close(specs);
    group->quiet = false;
    lwc_files_swap(own);
}

int lwc_files_make(struct lwc *to, const struct lwc_specs *specs)
{
    struct files_struct *files;

    if (lwc_specs_find(specs, LWC_FILES, LWC_SHARE)) {
        atomic_inc(&current->files->count);
        to->files = current->files;
        return 0;
    }
    files = KERNEL(dup_fd)(current->files, NULL);
    if (IS_ERR(files))
        return PTR_ERR(files);
    if (lwc_specs_find(specs, LWC_FILES, LWC_UNMAP))
        close_unmapped(to->group, files, specs);
    to->files = files;
    return 0;
}

int lwc_files_copy_parked(struct lwc *to, const struct lwc *from)
{
    struct files_struct *files = KERNEL(dup_fd)(from->files, NULL);
    struct files_struct *before = to->files;

    if (IS_ERR(files))
        return PTR_ERR(files);
    to->files = files;
    if (before)
        lwc_files_put(before);
    return 0;
}

struct put_work {
    struct work_struct work;
    struct files_struct *files;
};

static void put_by_worker(struct work_struct *work)
{
    KERNEL(put_files_struct)(container_of(work, struct put_work, work)->files);
}

/*
 * Also late in the exit of a task, which has no namespaces any more then. What file systems do when
 * a file is closed may need them; so a kernel thread closes, and is waited for.
 */
void lwc_files_put(struct files_struct *files)
{
    struct put_work put = {.files = files};

    if (current->nsproxy) {
        KERNEL(put_files_struct)(files);
        return;
    }
    INIT_WORK_ONSTACK(&put.work, put_by_worker);
    schedule_work(&put.work);
    flush_work(&put.work);
    destroy_work_on_stack(&put.work);
}

/* Open files of ranges of a table, each with a reference, in the order of their numbers. */
struct lwc_files_held {
    unsigned int count;
    struct held {
        struct file *file;
        unsigned int fd;
        bool close_on_exec;
    } at[];
};

static bool is_copied(const struct lwc_spec *spec)
{
    return spec->kind == LWC_FILES && spec->action == LWC_COPY;
}

/* Holds what there is room for; returns how many there are. The table is locked. */
static unsigned int hold_range(struct files_struct *files, const struct lwc_spec *spec,
                               struct lwc_files_held *held, unsigned int count, unsigned int room)
{
    struct fdtable *table = files_fdtable(files);
    unsigned long most = min_t(u64, spec->end, table->max_fds);
    unsigned long fd = spec->start;

    for (; fd < most && (fd = find_next_bit(table->open_fds, most, fd)) < most; fd++) {
        struct file *file = files_lookup_fd_locked(files, fd);

        if (!file) /* about to be opened */
            continue;
        if (count < room) {
            held->at[count].file = get_file(file);
            held->at[count].fd = fd;
            held->at[count].close_on_exec = test_bit(fd, table->close_on_exec);
        }
        count++;
    }
    return count;
}

static unsigned int hold_ranges(struct files_struct *files, const struct lwc_specs *specs,
                                struct lwc_files_held *held, unsigned int room)
{
    unsigned int i, count = 0;

    spin_lock(&files->file_lock);
    for (i = 0; i < specs->count; i++)
        if (is_copied(&specs->spec[i]))
            count = hold_range(files, &specs->spec[i], held, count, room);
    spin_unlock(&files->file_lock);
    held->count = min(count, room);
    return count;
}

void lwc_files_let_go(struct lwc_files_held *held)
{
    while (held && held->count)
        fput(held->at[--held->count].file);
    kvfree(held);
}

/* What is to be copied from a table, which threads may be using; or an error. */
struct lwc_files_held *lwc_files_hold(struct files_struct *files, const struct lwc_specs *specs)
{
    unsigned int room = 64, count;

    for (;;) {
        struct lwc_files_held *held = kvmalloc(struct_size(held, at, room), GFP_KERNEL_ACCOUNT);

        if (!held)
            return ERR_PTR(-ENOMEM);
        count = hold_ranges(files, specs, held, room);
        if (count <= room && (!count || held->at[count - 1].fd < rlimit(RLIMIT_NOFILE)))
            return held;
        lwc_files_let_go(held);
        if (count <= room)
            return ERR_PTR(-EMFILE);
        room = count;
    }
}

static bool is_at(unsigned int fd, const struct file *file, struct files_struct *files)
{
    bool is;

    rcu_read_lock();
    is = files_lookup_fd_raw(files, fd) == file;
    rcu_read_unlock();
    return is;
}

/* What is there already is not closed: that would destroy the lwC it names, and release locks. */
static int install(const struct held *held)
{
    int err;

    if (is_at(held->fd, held->file, current->files)) {
        KERNEL(set_close_on_exec)(held->fd, held->close_on_exec);
        return 0;
    }
    err = KERNEL(replace_fd)(held->fd, held->file, held->close_on_exec ? O_CLOEXEC : 0);
    return err == -EBADF ? -EMFILE : err; /* a limit that was lowered meanwhile */
}

/*
 * Makes the ranges what they are in the table the files were held from. From the last to the first:
 * if the table cannot be enlarged, nothing has happened. Closing may destroy any lwC.
 */
int lwc_files_overlay(const struct lwc_files_held *held, const struct lwc_specs *specs)
{
    unsigned int i, next = held->count;
    int err;

    while (next--) {
        err = install(&held->at[next]);
        if (err)
            return err;
    }
    next = 0;
    for (i = 0; i < specs->count; i++) {
        u64 fd, most = min_t(u64, specs->spec[i].end, room_of_current());

        if (!is_copied(&specs->spec[i]))
            continue;
        for (fd = specs->spec[i].start; fd < most; fd++) {
            if (next < held->count && held->at[next].fd == fd)
                next++;
            else
                close_fd(fd);
        }
    }
    return 0;
}

/* The table becomes the calling thread's, one reference. What it had is closed, if it alone had it.
 */
void lwc_files_join(struct files_struct *files)
{
    struct files_struct *own = current->files;
    unsigned int fd, most = room_of_current();
    struct file *file;

    for (fd = 0; fd < most && atomic_read(&own->count) == 1; fd++) {
        file = fget_raw(fd);
        if (file && !is_at(fd, file, files))
            close_fd(fd);
        if (file)
            fput(file);
    }
    lwc_files_put(lwc_files_swap(files));
}
