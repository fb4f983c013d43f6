// SPDX-License-Identifier: GPL-2.0
/* Descriptors that name lwCs. */
#include <linux/anon_inodes.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>

#include "context.h"
#include "mutations.h"
#include "name.h"

static bool is_mine(const struct lwc_name *name)
{
    return name->owner == current || leave_out("owner_check");
}

/* Each close(2), dup2(2) over it and so on; also when a table is dropped, which is nobody's close.
 */
static int name_flush(struct file *file, fl_owner_t table)
{
    struct lwc_name *name = file->private_data;
    struct lwc *lwc = is_mine(name) ? name->lwc : NULL;

    if (!lwc || lwc->group->quiet || table != (fl_owner_t)current->files)
        return 0;
    if (lwc->creator == lwc->group->running && lwc != lwc->group->running)
        lwc_destroy(lwc);
    return 0;
}

static int name_release(struct inode *inode, struct file *file)
{
    lwc_name_put(file->private_data);
    return 0;
}

static const struct file_operations name_operations = {
    .owner = THIS_MODULE,
    .flush = name_flush,
    .release = name_release,
    .llseek = noop_llseek,
};

struct file *lwc_name_open(struct lwc *lwc)
{
    struct file *file = anon_inode_getfile("[lwc]", &name_operations, lwc->name, O_RDWR);

    if (!IS_ERR(file))
        refcount_inc(&lwc->name->users);
    return file;
}

/* The lwC a descriptor of the calling thread names, or an error as in section 4 of the contract. */
struct lwc *lwc_by_descriptor(struct lwc_group *group, int fd)
{
    struct lwc_name *name;
    struct file *file;
    struct lwc *lwc;

    if (fd == LWC_FD_SELF || fd == LWC_FD_ROOT) {
        if (!group)
            return ERR_PTR(-EBADF);
        lwc = fd == LWC_FD_SELF ? group->running : group->root;
        return lwc ?: ERR_PTR(-ESTALE);
    }
    file = fget(fd);
    if (!file)
        return ERR_PTR(-EBADF);
    if (file->f_op != &name_operations) {
        fput(file);
        return ERR_PTR(-EINVAL);
    }
    name = file->private_data;
    if (is_mine(name))
        lwc = name->lwc ?: ERR_PTR(-ESTALE);
    else
        lwc = ERR_PTR(-EPERM);
    fput(file);
    return lwc;
}

static int matches(const void *name, struct file *file, unsigned int fd)
{
    return file->f_op == &name_operations && file->private_data == name ? (int)fd + 1 : 0;
}

static bool is_descriptor_of(int fd, const struct lwc *lwc)
{
    struct file *file = fd < 0 ? NULL : fget(fd);
    bool is = file && matches(lwc->name, file, fd);

    if (file)
        fput(file);
    return is;
}

/* A descriptor of `lwc` in the calling thread's table: the guess, another one, or a new one. */
int lwc_name_for_current(struct lwc *lwc, int guess)
{
    struct file *file;
    int fd;

    if (is_descriptor_of(guess, lwc))
        return guess;
    fd = iterate_fd(current->files, 0, matches, lwc->name) - 1;
    if (fd >= 0)
        return fd;
    fd = get_unused_fd_flags(O_CLOEXEC);
    if (fd < 0)
        return LWC_FD_NONE;
    file = lwc_name_open(lwc);
    if (IS_ERR(file)) {
        put_unused_fd(fd);
        return LWC_FD_NONE;
    }
    fd_install(fd, file);
    return fd;
}
