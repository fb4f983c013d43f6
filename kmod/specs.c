// SPDX-License-Identifier: GPL-2.0
/* Resource specifications, as user space gives them. */
#include <linux/mm.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uaccess.h>

#include "specs.h"

static bool covers_all(const struct lwc_spec *spec)
{
    return spec->start == 0 && spec->end == LWC_ALL;
}

static bool is_valid(struct lwc_spec *spec)
{
    if (spec->action > LWC_UNMAP || spec->start >= spec->end)
        return false;
    switch (spec->kind) {
    case LWC_MEMORY:
        if (spec->end == LWC_ALL)
            spec->end = TASK_SIZE_MAX;
        if (!PAGE_ALIGNED(spec->start) || !PAGE_ALIGNED(spec->end) || spec->end > TASK_SIZE_MAX)
            return false;
        return spec->start < spec->end;
    case LWC_FILES:
        return spec->action != LWC_SHARE || covers_all(spec);
    case LWC_CREDENTIALS:
        return spec->action != LWC_UNMAP && covers_all(spec);
    default:
        return false;
    }
}

static int compare(const void *left, const void *right)
{
    const struct lwc_spec *a = left, *b = right;

    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return a->start < b->start ? -1 : a->start > b->start;
}

static void split_off_flags(struct lwc_specs *specs)
{
    unsigned int i;

    specs->access = 0;
    for (i = 0; i < specs->count; i++)
        if (specs->spec[i].action & LWC_MAY_ACCESS) {
            specs->spec[i].action &= ~LWC_MAY_ACCESS;
            specs->access |= 1ull << i;
        }
}

static int check(struct lwc_specs *specs, u32 flags)
{
    struct lwc_spec *spec = specs->spec;
    unsigned int i;

    sort(spec, specs->count, sizeof(*spec), compare, NULL);
    split_off_flags(specs);
    if (specs->access && !(flags & LWC_MAY_ACCESS))
        return -EINVAL;
    for (i = 0; i < specs->count; i++)
        if (!is_valid(&spec[i]))
            return -EINVAL;
    for (i = 1; i < specs->count; i++)
        if (spec[i - 1].kind == spec[i].kind && spec[i - 1].end > spec[i].start)
            return -EINVAL;
    return 0;
}

/* To be freed with kfree(). `flags` may be given with actions. */
struct lwc_specs *lwc_specs_read(const void __user *from, u32 count, u32 flags)
{
    struct lwc_specs *specs;
    int err;

    if (count > LWC_MAX_SPECS)
        return ERR_PTR(-EINVAL);
    specs = kmalloc(struct_size(specs, spec, count), GFP_KERNEL_ACCOUNT);
    if (!specs)
        return ERR_PTR(-ENOMEM);
    specs->count = count;
    err = copy_from_user(specs->spec, from, count * sizeof(struct lwc_spec)) ? -EFAULT
                                                                             : check(specs, flags);
    if (err) {
        kfree(specs);
        return ERR_PTR(err);
    }
    return specs;
}

const struct lwc_spec *lwc_specs_find(const struct lwc_specs *specs, u32 kind, u32 action)
{
    unsigned int i;

    for (i = 0; i < specs->count; i++)
        if (specs->spec[i].kind == kind && specs->spec[i].action == action)
            return &specs->spec[i];
    return NULL;
}

/* Any of that kind. */
const struct lwc_spec *lwc_specs_has(const struct lwc_specs *specs, u32 kind)
{
    unsigned int i;

    for (i = 0; i < specs->count; i++)
        if (specs->spec[i].kind == kind)
            return &specs->spec[i];
    return NULL;
}
