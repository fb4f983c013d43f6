// SPDX-License-Identifier: GPL-2.0
/* /dev/lwc: takes the calls of uapi/lwc.h apart, checks them, hands them on. */
#include <linux/bitmap.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "context.h"
#include "create.h"
#include "device.h"
#include "dirty.h"
#include "filter.h"
#include "mask.h"
#include "mutations.h"
#include "name.h"
#include "overlay.h"
#include "reset.h"
#include "safepoint.h"
#include "specs.h"
#include "switch.h"
#include "syscall.h"

#define CREATE_FLAGS                                                                               \
    (LWC_MAY_RETURN | LWC_SAME_RIGHTS | LWC_SUSPEND_ONLY | LWC_SHARE_SIGNALS | LWC_TRAP_SYSCALLS | \
     LWC_WITH_THREADS)
#define FEATURES                                                                                   \
    (LWC_FEATURE_OVERLAY | LWC_FEATURE_RESTRICT | LWC_FEATURE_SYSCALL | LWC_FEATURE_TRAP |         \
     LWC_FEATURE_THREADS)

static int call_abi(void __user *arg)
{
    struct lwc_abi abi = {.abi = LWC_ABI, .features = FEATURES};

    return copy_to_user(arg, &abi, sizeof(abi)) ? -EFAULT : 0;
}

/* Gives a file a descriptor, and tells its number, here too; or puts it. */
static int install(struct file *file, s32 __user *to)
{
    int fd = get_unused_fd_flags(O_CLOEXEC);
    int err = fd < 0 ? fd : 0;

    if (!err)
        err = put_user(fd, to);
    if (!err) {
        fd_install(fd, file);
        return fd;
    }
    fput(file);
    if (fd >= 0)
        put_unused_fd(fd);
    return err;
}

/* A new lwC gets a descriptor, which is the result; or it goes. */
static int publish(struct lwc *lwc, s32 __user *to)
{
    struct lwc_specs *mask = lwc_mask_everything();
    struct file *file = mask ? lwc_name_open(lwc->name, mask) : ERR_PTR(-ENOMEM);
    int fd = IS_ERR(file) ? PTR_ERR(file) : install(file, to);

    if (fd < 0)
        lwc_destroy(lwc);
    return fd;
}

/* With the threads, as whose creator the calling one goes on. */
static int create_and_publish(struct lwc_group *group, const struct lwc_create *wanted,
                              const struct lwc_specs *specs, struct lwc_create __user *arg,
                              struct list_head *threads, unsigned int count)
{
    struct lwc *lwc = lwc_create_from_current(group, wanted->flags, specs, arg, count);
    int fd;

    if (IS_ERR(lwc))
        return PTR_ERR(lwc);
    fd = lwc_safepoint_prepare(threads, lwc, specs);
    if (fd) {
        lwc_destroy(lwc);
        return fd;
    }
    fd = publish(lwc, &arg->fd);
    if (fd >= 0)
        lwc_safepoint_finish(threads, lwc, specs, fd);
    return fd;
}

static int create(const struct lwc_create *wanted, const struct lwc_specs *specs,
                  struct lwc_create __user *arg)
{
    struct lwc_create result;
    struct lwc_group *group;
    LIST_HEAD(threads);
    int count = 0, err = lwc_cpu_supported();

    if (err)
        return err;
    group = lwc_group_get();
    if (IS_ERR(group))
        return PTR_ERR(group);
    if (wanted->flags & LWC_WITH_THREADS)
        count = lwc_safepoint_take(&threads, specs, wanted->nargs);
    if (count < 0)
        return count;
    err = create_and_publish(group, wanted, specs, arg, &threads, count);
    if (err < 0) {
        lwc_safepoint_give_back(&threads);
        return err;
    }
    memset(&result, 0, sizeof(result));
    result.nargs = count;
    result.caller = LWC_FD_NONE;
    result.event = LWC_CREATED;
    /* It was writable a moment ago; what can be unmapped meanwhile is the user's to lose. */
    if (put_user(result.event, &arg->event) ||
        copy_to_user(&arg->caller, &result.caller,
                     sizeof(result) - offsetof(struct lwc_create, caller)))
        return -EFAULT;
    return 0;
}

static int call_create(struct lwc_create __user *arg)
{
    struct lwc_create wanted;
    struct lwc_specs *specs;
    int err;

    if (copy_from_user(&wanted, arg, sizeof(wanted)))
        return -EFAULT;
    if (wanted.flags & ~CREATE_FLAGS)
        return -EINVAL;
    specs = lwc_specs_read(u64_to_user_ptr(wanted.specs), wanted.nspecs, LWC_MAY_ACCESS);
    if (IS_ERR(specs))
        return PTR_ERR(specs);
    if (wanted.flags & LWC_SUSPEND_ONLY &&
        (specs->access || lwc_specs_find(specs, LWC_FILES, LWC_SHARE) ||
         lwc_specs_find(specs, LWC_CREDENTIALS, LWC_SHARE)))
        err = -EINVAL;
    else
        err = create(&wanted, specs, arg);
    kfree(specs);
    return err;
}

static int call_switch(struct lwc_switch __user *arg)
{
    struct lwc_entry left = {.call = LWC_LEFT_BY_SWITCH, .result = arg};
    struct lwc_group *group;
    struct lwc_switch with;
    struct lwc *to;
    int err;

    if (copy_from_user(&with, arg, sizeof(with)))
        return -EFAULT;
    if (!leave_out("trap_forged"))
        with.flags &= ~LWC_BY_TRAP;
    if (with.flags & ~(LWC_DISCARD | LWC_BY_TRAP) || with.nargs > LWC_MAX_ARGS)
        return -EINVAL;
    err = lwc_cpu_supported();
    if (err)
        return err;
    group = lwc_group_find();
    to = lwc_by_descriptor(group, with.target);
    if (IS_ERR(to))
        return PTR_ERR(to);
    if (to == group->running)
        return -EBUSY;
    if (!lwc_may_enter(group->running, to))
        return -EACCES;
    if (to->flags & LWC_SUSPEND_ONLY)
        return -EROFS;
    if (to->broken)
        return -ENOTRECOVERABLE;
    memset(with.args + with.nargs, 0, (LWC_MAX_ARGS - with.nargs) * sizeof(with.args[0]));
    return lwc_switch_to(group, to, &with, &left);
}

static int call_clone(struct lwc_clone __user *arg)
{
    struct lwc *snapshot, *worker;
    struct lwc_group *group;
    struct lwc_clone wanted;
    int err;

    if (copy_from_user(&wanted, arg, sizeof(wanted)))
        return -EFAULT;
    if (wanted.flags || wanted.reserved)
        return -EINVAL;
    err = lwc_cpu_supported();
    if (err)
        return err;
    group = lwc_group_find();
    snapshot = lwc_by_descriptor(group, wanted.snapshot);
    if (IS_ERR(snapshot))
        return PTR_ERR(snapshot);
    if (snapshot->creator != group->running)
        return -EACCES;
    if (!(snapshot->flags & LWC_SUSPEND_ONLY))
        return -EINVAL;
    worker = lwc_create_worker(snapshot);
    err = IS_ERR(worker) ? PTR_ERR(worker) : publish(worker, &arg->fd);
    return min(err, 0);
}

static int call_reset(struct lwc_reset __user *arg)
{
    struct lwc_group *group;
    struct lwc_reset wanted;
    struct lwc *worker;
    int err;

    if (copy_from_user(&wanted, arg, sizeof(wanted)))
        return -EFAULT;
    if (wanted.flags)
        return -EINVAL;
    err = lwc_cpu_supported();
    if (err)
        return err;
    group = lwc_group_find();
    worker = lwc_by_descriptor(group, wanted.worker);
    if (IS_ERR(worker))
        return PTR_ERR(worker);
    if (worker->creator != group->running)
        return -EACCES;
    if (!worker->snapshot_id)
        return -EINVAL;
    err = lwc_reset(worker, &wanted);
    if (err)
        return err;
    return copy_to_user(arg, &wanted, sizeof(wanted)) ? -EFAULT : 0;
}

static int call_grant(const struct lwc_grant __user *arg)
{
    struct lwc *target, *holder;
    struct lwc_group *group;
    struct lwc_grant wanted;

    if (copy_from_user(&wanted, arg, sizeof(wanted)))
        return -EFAULT;
    if (wanted.rights & ~(LWC_MAY_ENTER | LWC_MAY_ACCESS) || wanted.reserved)
        return -EINVAL;
    group = lwc_group_find();
    target = lwc_by_descriptor(group, wanted.target);
    if (IS_ERR(target))
        return PTR_ERR(target);
    holder = lwc_by_descriptor(group, wanted.holder);
    if (IS_ERR(holder))
        return PTR_ERR(holder);
    if (target != group->running && target->creator != group->running)
        return -EACCES;
    return lwc_grant(holder, target, wanted.rights);
}

static u32 state_of(const struct lwc *lwc)
{
    const struct lwc_group *group = lwc->group;

    return (lwc == group->running ? LWC_IS_RUNNING : 0) | (lwc == group->root ? LWC_IS_ROOT : 0) |
           (lwc->flags & LWC_SUSPEND_ONLY ? LWC_IS_SNAPSHOT : 0) |
           (lwc->snapshot_id ? LWC_IS_WORKER : 0) |
           (lwc->entered || lwc == group->running ? LWC_IS_ENTERED : 0);
}

static int call_info(struct lwc_info __user *arg)
{
    struct lwc_group *group = lwc_group_find();
    struct lwc_info info;
    struct lwc *lwc;

    if (copy_from_user(&info, arg, sizeof(info)))
        return -EFAULT;
    if (info.flags)
        return -EINVAL;
    lwc = lwc_by_descriptor(group, info.fd);
    if (IS_ERR(lwc))
        return PTR_ERR(lwc);
    info.id = lwc->id;
    info.creator = lwc->creator ? lwc->creator->id : 0;
    info.snapshot = lwc->snapshot_id;
    info.state = state_of(lwc);
    info.contexts = group->count;
    info.pages_private = lwc->dirty ? lwc_dirty_private(lwc->dirty) : 0;
    info.switches = group->switches;
    info.bytes = lwc_group_pages(group) << PAGE_SHIFT;
    return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

/* With LWC_FD_SELF what was overlaid is undone, and with it only. */
static bool is_overlay(const struct lwc_specs *specs, bool undo)
{
    bool unmaps =
        lwc_specs_find(specs, LWC_MEMORY, LWC_UNMAP) || lwc_specs_find(specs, LWC_FILES, LWC_UNMAP);
    unsigned int i;

    if (!undo)
        return !unmaps;
    for (i = 0; i < specs->count; i++)
        if (specs->spec[i].action !=
            (specs->spec[i].kind == LWC_CREDENTIALS ? LWC_COPY : LWC_UNMAP))
            return false;
    return true;
}

static int overlay(int fd, const struct lwc_specs *specs)
{
    struct lwc_group *group = lwc_group_find();
    struct lwc *source;

    if (!is_overlay(specs, fd == LWC_FD_SELF))
        return -EINVAL;
    if (fd == LWC_FD_SELF)
        source = lwc_by_descriptor(group, fd);
    else
        source = lwc_by_descriptor_to_reach(group, fd, specs);
    if (IS_ERR(source))
        return PTR_ERR(source);
    return lwc_overlay(group->running, source, specs);
}

static int call_overlay(const struct lwc_overlay __user *arg)
{
    struct lwc_overlay wanted;
    struct lwc_specs *specs;
    int err;

    if (copy_from_user(&wanted, arg, sizeof(wanted)))
        return -EFAULT;
    if (wanted.flags || wanted.reserved)
        return -EINVAL;
    specs = lwc_specs_read(u64_to_user_ptr(wanted.specs), wanted.nspecs, 0);
    if (IS_ERR(specs))
        return PTR_ERR(specs);
    err = overlay(wanted.source, specs);
    kfree(specs);
    return err;
}

static int restrict_copy(int fd, struct lwc_specs *mask, s32 __user *to)
{
    struct file *file;
    int err = lwc_name_open_restricted(fd, mask, &file);

    return err ?: min(install(file, to), 0);
}

static int call_restrict(struct lwc_restrict __user *arg)
{
    struct lwc_restrict wanted;
    struct lwc_specs *mask;
    int err;

    if (copy_from_user(&wanted, arg, sizeof(wanted)))
        return -EFAULT;
    if (wanted.flags & ~LWC_RESTRICT_COPY)
        return -EINVAL;
    mask = lwc_specs_read(u64_to_user_ptr(wanted.specs), wanted.nspecs, 0);
    if (IS_ERR(mask))
        return PTR_ERR(mask);
    if (lwc_specs_find(mask, LWC_MEMORY, LWC_UNMAP) || lwc_specs_find(mask, LWC_FILES, LWC_UNMAP)) {
        kfree(mask);
        return -EINVAL;
    }
    if (wanted.flags & LWC_RESTRICT_COPY)
        return restrict_copy(wanted.fd, mask, &arg->restricted);
    /* Whether the result can be written shows before anything is narrowed. */
    if (put_user(wanted.restricted, &arg->restricted)) {
        kfree(mask);
        return -EFAULT;
    }
    err = lwc_name_restrict(wanted.fd, mask);
    return err ?: put_user(LWC_FD_NONE, &arg->restricted);
}

static int syscall_for(struct lwc_syscall *wanted)
{
    struct lwc_specs *whole = lwc_mask_of_kinds(wanted->mask);
    struct lwc *target;

    if (!whole)
        return -ENOMEM;
    target = lwc_by_descriptor_to_reach(lwc_group_find(), wanted->target, whole);
    kfree(whole);
    if (IS_ERR(target))
        return PTR_ERR(target);
    if (target->flags & LWC_SUSPEND_ONLY)
        return -EROFS;
    if (target->broken)
        return -ENOTRECOVERABLE;
    return lwc_syscall(target, wanted);
}

static int call_syscall(struct lwc_syscall __user *arg)
{
    struct lwc_syscall wanted;
    int err;

    if (copy_from_user(&wanted, arg, sizeof(wanted)))
        return -EFAULT;
    if (!wanted.mask || wanted.mask & ~LWC_ALL_KINDS)
        return -EINVAL;
    /* Whether the result can be written shows before the call is made. */
    if (put_user(wanted.result, &arg->result))
        return -EFAULT;
    err = lwc_cpu_supported();
    if (!err)
        err = lwc_syscall_supported(wanted.nr);
    if (!err)
        err = syscall_for(&wanted);
    if (err)
        return err;
    return put_user(wanted.result, &arg->result);
}

/* What is refused, as LWC_IOC_TRAP says it. */
static int read_refused(unsigned long *refused, const struct lwc_trap *wanted)
{
    switch (wanted->mode) {
    case LWC_TRAP_NONE:
        bitmap_zero(refused, LWC_FILTER_CALLS);
        return 0;
    case LWC_TRAP_ALL:
        bitmap_fill(refused, LWC_FILTER_CALLS);
        return 0;
    case LWC_TRAP_SOME:
        /* Bytes and words agree where the lowest byte comes first. */
        return copy_from_user(refused, u64_to_user_ptr(wanted->calls), LWC_FILTER_CALLS / 8)
                   ? -EFAULT
                   : 0;
    default:
        return -EINVAL;
    }
}

static int call_trap(const struct lwc_trap __user *arg)
{
    DECLARE_BITMAP(refused, LWC_FILTER_CALLS);
    struct lwc_trap wanted;
    struct lwc_group *group;
    struct lwc *lwc;
    int err;

    if (copy_from_user(&wanted, arg, sizeof(wanted)))
        return -EFAULT;
    err = read_refused(refused, &wanted);
    if (err)
        return err;
    group = lwc_group_find();
    lwc = lwc_by_descriptor(group, wanted.fd);
    if (IS_ERR(lwc))
        return PTR_ERR(lwc);
    if (lwc->creator != group->running && !leave_out("trap_creator"))
        return -EACCES;
    if (!lwc->filter)
        return -EINVAL;
    lwc_filter_set(lwc->filter, refused);
    return 0;
}

static int call_safepoint(struct lwc_safepoint __user *arg)
{
    struct lwc_safepoint result;
    struct lwc_group *group;
    int err;

    if (copy_from_user(&result, arg, sizeof(result)))
        return -EFAULT;
    if (result.flags || result.reserved)
        return -EINVAL;
    err = lwc_cpu_supported();
    if (err)
        return err;
    group = lwc_group_get();
    if (IS_ERR(group))
        return PTR_ERR(group);
    err = lwc_safepoint_wait(group, arg);
    if (err < 0)
        return err;
    memset(&result, 0, sizeof(result));
    result.event = LWC_CREATED;
    result.fd = err;
    result.caller = LWC_FD_NONE;
    return copy_to_user(arg, &result, sizeof(result)) ? -EFAULT : 0;
}

static long call(unsigned int command, unsigned long address)
{
    void __user *arg = (void __user *)address;

    switch (command) {
    case LWC_IOC_ABI:
        return call_abi(arg);
    case LWC_IOC_CREATE:
        return call_create(arg);
    case LWC_IOC_SWITCH:
        return call_switch(arg);
    case LWC_IOC_CLONE:
        return call_clone(arg);
    case LWC_IOC_RESET:
        return call_reset(arg);
    case LWC_IOC_GRANT:
        return call_grant(arg);
    case LWC_IOC_INFO:
        return call_info(arg);
    case LWC_IOC_OVERLAY:
        return call_overlay(arg);
    case LWC_IOC_RESTRICT:
        return call_restrict(arg);
    case LWC_IOC_SYSCALL:
        return call_syscall(arg);
    case LWC_IOC_TRAP:
        return call_trap(arg);
    case LWC_IOC_SAFEPOINT:
        return call_safepoint(arg);
    default:
        return -ENOTTY;
    }
}

static long device_ioctl(struct file *file, unsigned int command, unsigned long address)
{
    long answer = call(command, address);

    lwc_group_rest(lwc_group_find());
    return answer;
}

/* A 32-bit thread, or a 64-bit one by a 32-bit entry. */
static long device_compat_ioctl(struct file *file, unsigned int command, unsigned long address)
{
    return -EOPNOTSUPP;
}

static const struct file_operations device_operations = {
    .owner = THIS_MODULE,
    .unlocked_ioctl = device_ioctl,
    .compat_ioctl = device_compat_ioctl,
    .llseek = noop_llseek,
};

static struct miscdevice device = {
    .minor = MISC_DYNAMIC_MINOR,
    .name = "lwc",
    .mode = 0600,
    .fops = &device_operations,
};

int lwc_device_init(void)
{
    int err = misc_register(&device);

    if (err)
        pr_err("cannot make the device lwc (%d)\n", err);
    return err;
}

void lwc_device_exit(void)
{
    misc_deregister(&device);
}
