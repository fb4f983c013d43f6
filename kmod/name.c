// SPDX-License-Identifier: GPL-2.0
/* Descriptors that name lwCs. */
#include <linux/anon_inodes.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#include "context.h"
#include "mask.h"
#include "mutations.h"
#include "name.h"

/* An open file that names an lwC. */
struct handle {
    struct lwc_name *name;
    struct lwc_specs *mask; /* what may be reached through it; NULL: nothing */
};

/* Tables, and so handles, can be shared by threads. */
static DEFINE_MUTEX(masks_lock);

/* The calling thread's entry in a name, or NULL. */
static const struct lwc_owner *own(struct lwc_name *name)
{
    const struct lwc_owner *owner = lwc_name_owner(name, current);

    return owner || !leave_out("owner_check") ? owner : &name->owners[0];
}

static struct lwc_name *name_of(const struct file *file)
{
    return ((struct handle *)file->private_data)->name;
}

/* Each close(2), dup2(2) over it and so on; also when a table is dropped, which is nobody's close.
 */
static int name_flush(struct file *file, fl_owner_t table)
{
    const struct lwc_owner *owner = own(name_of(file));
    struct lwc *lwc = owner ? owner->lwc : NULL;

    if (!lwc || lwc->group->quiet || table != (fl_owner_t)current->files)
        return 0;
    if (lwc->creator == lwc->group->running && lwc != lwc->group->running)
        lwc_destroy(lwc);
    return 0;
}

static int name_release(struct inode *inode, struct file *file)
{
    struct handle *handle = file->private_data;

    lwc_name_put(handle->name);
    kfree(handle->mask);
    kfree(handle);
    return 0;
}

static const struct file_operations name_operations = {
    .owner = THIS_MODULE,
    .flush = name_flush,
    .release = name_release,
    .llseek = noop_llseek,
};

/* The mask goes to the file; it is freed also where that cannot be made. */
struct file *lwc_name_open(struct lwc_name *name, struct lwc_specs *mask)
{
    struct handle *handle = kmalloc(sizeof(*handle), GFP_KERNEL_ACCOUNT);
    struct file *file = ERR_PTR(-ENOMEM);

    if (handle) {
        handle->name = name;
        handle->mask = mask;
        file = anon_inode_getfile("[lwc]", &name_operations, handle, O_RDWR);
    }
    if (IS_ERR(file)) {
        kfree(mask);
        kfree(handle);
        return file;
    }
    refcount_inc(&name->users);
    return file;
}

/* A new descriptor in the calling thread's table, or LWC_FD_NONE. The mask is used up. */
int lwc_name_install(struct lwc *lwc, struct lwc_specs *mask)
{
    struct file *file;
    int fd = get_unused_fd_flags(O_CLOEXEC);

    if (fd < 0) {
        kfree(mask);
        return LWC_FD_NONE;
    }
    file = lwc_name_open(lwc->name, mask);
    if (IS_ERR(file)) {
        put_unused_fd(fd);
        return LWC_FD_NONE;
    }
    fd_install(fd, file);
    return fd;
}

/* The file of a descriptor that names an lwC; to be put. */
static struct file *file_of(int fd)
{
    struct file *file = fget(fd);

    if (!file)
        return ERR_PTR(-EBADF);
    if (file->f_op != &name_operations) {
        fput(file);
        return ERR_PTR(-EINVAL);
    }
    return file;
}

static struct lwc *lwc_of(const struct file *file)
{
    struct lwc_name *name = name_of(file);
    const struct lwc_owner *owner = own(name);

    if (!owner)
        return ERR_PTR(-EPERM);
    return owner->lwc && !READ_ONCE(name->destroyed) ? owner->lwc : ERR_PTR(-ESTALE);
}

static bool is_well_known(int fd)
{
    return fd == LWC_FD_SELF || fd == LWC_FD_ROOT;
}

static struct lwc *by_well_known(struct lwc_group *group, int fd)
{
    struct lwc *lwc;

    if (!group)
        return ERR_PTR(-EBADF);
    lwc = fd == LWC_FD_SELF ? group->running : group->root;
    return lwc ?: ERR_PTR(-ESTALE);
}

/* The lwC a descriptor of the calling thread names, or an error as in section 4 of the contract. */
struct lwc *lwc_by_descriptor(struct lwc_group *group, int fd)
{
    struct file *file;
    struct lwc *lwc;

    if (group)
        lwc_group_begin(group);
    if (is_well_known(fd))
        return by_well_known(group, fd);
    file = file_of(fd);
    if (IS_ERR(file))
        return ERR_CAST(file);
    lwc = lwc_of(file);
    fput(file);
    return lwc;
}

static bool handle_allows(const struct handle *handle, const struct lwc_specs *wanted)
{
    bool allows;

    mutex_lock(&masks_lock);
    allows = lwc_mask_allows(handle->mask, wanted);
    mutex_unlock(&masks_lock);
    return allows;
}

/*
 * As lwc_by_descriptor(), if the lwC that runs may reach what is wanted through the descriptor. It
 * does not reach into itself: -EBUSY.
 */
struct lwc *lwc_by_descriptor_to_reach(struct lwc_group *group, int fd,
                                       const struct lwc_specs *wanted)
{
    struct file *file;
    struct lwc *lwc;

    if (group)
        lwc_group_begin(group);
    if (is_well_known(fd)) {
        lwc = by_well_known(group, fd);
        if (IS_ERR(lwc))
            return lwc;
        return ERR_PTR(lwc == group->running ? -EBUSY : -EACCES);
    }
    file = file_of(fd);
    if (IS_ERR(file))
        return ERR_CAST(file);
    lwc = lwc_of(file);
    if (!IS_ERR(lwc) && lwc == group->running)
        lwc = ERR_PTR(-EBUSY);
    if (!IS_ERR(lwc) &&
        (!lwc_may_access(group->running, lwc) || !handle_allows(file->private_data, wanted)))
        lwc = ERR_PTR(-EACCES);
    fput(file);
    return lwc;
}

/* What narrows a mask, on the way: `file` is that of `fd`, and the mask allows `narrow`. */
static int begin_to_restrict(int fd, const struct lwc_specs *narrow, struct file **file)
{
    struct lwc *lwc;

    if (is_well_known(fd))
        return -EINVAL;
    *file = file_of(fd);
    if (IS_ERR(*file))
        return PTR_ERR(*file);
    lwc = lwc_of(*file);
    mutex_lock(&masks_lock);
    if (!IS_ERR(lwc) && (lwc_mask_allows(((struct handle *)(*file)->private_data)->mask, narrow) ||
                         leave_out("restrict_check")))
        return 0;
    mutex_unlock(&masks_lock);
    fput(*file);
    return IS_ERR(lwc) ? PTR_ERR(lwc) : -EACCES;
}

/* Makes `mask` that of a descriptor and its copies. It is used up, whatever happens. */
int lwc_name_restrict(int fd, struct lwc_specs *mask)
{
    struct file *file;
    int err = begin_to_restrict(fd, mask, &file);

    if (!err) {
        swap(((struct handle *)file->private_data)->mask, mask);
        mutex_unlock(&masks_lock);
        fput(file);
    }
    kfree(mask);
    return err;
}

/* Another file of the same name, with that mask. It is used up, whatever happens. */
int lwc_name_open_restricted(int fd, struct lwc_specs *mask, struct file **restricted)
{
    struct file *file;
    int err = begin_to_restrict(fd, mask, &file);

    if (err) {
        kfree(mask);
        return err;
    }
    mutex_unlock(&masks_lock);
    *restricted = lwc_name_open(name_of(file), mask);
    fput(file);
    return PTR_ERR_OR_ZERO(*restricted);
}

static int matches(const void *name, struct file *file, unsigned int fd)
{
    return file->f_op == &name_operations && name_of(file) == name ? (int)fd + 1 : 0;
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
    int fd;

    if (is_descriptor_of(guess, lwc))
        return guess;
    fd = iterate_fd(current->files, 0, matches, lwc->name) - 1;
    if (fd >= 0)
        return fd;
    return lwc_name_install(lwc, NULL);
}
