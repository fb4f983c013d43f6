/* SPDX-License-Identifier: MIT */
#include "undo.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "files.h"
#include "image.h"
#include "step.h"
#include "sys.h"
#include "trace.h"

static const struct own_file *file_of(const struct inbox *in, int fd)
{
    int i;

    for (i = 0; i < in->frozen.file_count; i++)
        if (in->frozen.files[i].fd == fd)
            return &in->frozen.files[i];
    return NULL;
}

int undo_opened(struct inbox *in)
{
    struct trace *t = in->trace;
    uint32_t i;

    STEP(CLOSE_OPENED)
        for (i = 0; i < t->opened_count; i++)
            sys_close(t->opened[i]); /* an end with an error has closed it as well */
    t->opened_count = 0;
    for (i = 0; i < t->saved_count; i++) {
        const struct saved_file *s = &t->saved[i];
        const struct own_file *own = file_of(in, s->fd);
        long ret = 0;

        STEP(RESTORE_SAVED)
            ret = sys_dup3(s->copy, s->fd, own && own->fd_flags & FD_CLOEXEC ? O_CLOEXEC : 0);
        /* Done before, by a child that was killed after it. */
        if (ret < 0 && ret != -EBADF)
            return (int)ret;
        sys_close(s->copy);
    }
    t->saved_count = 0;
    return 0;
}

static int undo_file(const struct own_file *own, int how)
{
    long ret = 0;

    if (how & FILE_CHANGED && own->reopen)
        return files_reopen_one(own);
    if (how & FILE_CHANGED) {
        ret = sys_fcntl(own->fd, F_SETFL, own->flags);
        if (ret >= 0)
            ret = sys_fcntl(own->fd, F_SETFD, own->fd_flags);
    }
    if (ret >= 0 && own->offset >= 0)
        ret = sys_lseek(own->fd, own->offset, SEEK_SET);
    return ret < 0 ? (int)ret : 0;
}

/* Then offsets and flags may have been changed through copies that nobody saw:
 * those of a process that was started, or of one that a descriptor was sent to. */
static const uint32_t COPIES = TRACE_CHILDREN | TRACE_FILES | TRACE_BLIND;

int undo_descriptors(struct inbox *in)
{
    struct trace *t = in->trace;
    int all = t->flags & COPIES ? FILE_CHANGED : 0;
    int i, ret = undo_opened(in);

    if (!t->files_touched && !all)
        return ret;
    for (i = 0; i < in->frozen.file_count && !ret; i++)
        if (t->files[i] | all)
            STEP(RESTORE_OFFSET)
                ret = undo_file(&in->frozen.files[i], t->files[i] | all);
    return ret;
}

int undo_mappings(struct keep *k, struct inbox *in)
{
    struct trace *t = in->trace;
    uint32_t i;
    long ret = 0;

    (void)k;
    STEP(UNMAP_OWN)
        for (i = 0; i < t->own.count && !ret; i++)
            ret = sys_munmap((void *)t->own.at[i].start, t->own.at[i].end - t->own.at[i].start);
    if (ret)
        return (int)ret;
    STEP(RESTORE_BREAK)
        if (t->brk != t->frozen_brk || t->flags & TRACE_MAPS)
            SYS(SYS_brk, t->frozen_brk, 0, 0, 0, 0, 0);
    if (t->flags & TRACE_MAPS)
        ret = SYS(SYS_munlockall, 0, 0, 0, 0, 0, 0);
    return (int)ret;
}

int undo_protection(struct keep *k, struct inbox *in)
{
    const struct ranges *changed = &in->trace->protected;
    uint32_t i;

    for (i = 0; i < changed->count; i++) {
        uint64_t start = changed->at[i].start, end = changed->at[i].end;
        const struct mapping *m;

        for (m = image_from(k->image, start); m && m->start < end;
             m = image_from(k->image, m->end)) {
            uint64_t from = m->start > start ? m->start : start, to = m->end < end ? m->end : end;
            int prot = (m->flags & MAP_READ ? PROT_READ : 0) |
                       (m->flags & MAP_WRITE ? PROT_WRITE : 0) |
                       (m->flags & MAP_EXEC ? PROT_EXEC : 0);
            long ret = sys_mprotect((void *)from, to - from, prot);
            if (ret)
                return (int)ret;
        }
    }
    return 0;
}
