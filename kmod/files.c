// SPDX-License-Identifier: GPL-2.0
/* Tables of descriptors of lwCs: copied, shared, switched. */
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/nsproxy.h>
#include <linux/sched/task.h>
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

static void close_range_of_current(u64 start, u64 end)
{
    struct fdtable *table;
    unsigned int most;
    u64 fd;

    rcu_read_lock();
    table = files_fdtable(current->files);
    most = table->max_fds;
    rcu_read_unlock();
    for (fd = start; fd < min_t(u64, end, most); fd++)
        close_fd(fd);
}

/* Nobody else has the table yet, but closing is done by the functions for one's own. */
static void close_unmapped(struct lwc_group *group, struct files_struct *files,
                           const struct lwc_specs *specs)
{
    struct files_struct *own = lwc_files_swap(files);
    unsigned int i;

    group->quiet = true;
    for (i = 0; i < specs->count; i++)
        if (specs->spec[i].kind == LWC_FILES && specs->spec[i].action == LWC_UNMAP)
            close_range_of_current(specs->spec[i].start, specs->spec[i].end);
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
