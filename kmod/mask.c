// SPDX-License-Identifier: GPL-2.0
/* Masks: what of an lwC may be reached through a descriptor of it. */
#include <linux/mm.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "mask.h"
#include "mutations.h"
#include "specs.h"

static struct lwc_specs *mask_alloc(unsigned int count)
{
    struct lwc_specs *mask = kmalloc(struct_size(mask, spec, count), GFP_KERNEL_ACCOUNT);

    if (mask) {
        mask->count = count;
        mask->access = 0;
    }
    return mask;
}

/* To be freed with kfree(), as all of these; NULL where there is no memory. */
struct lwc_specs *lwc_mask_everything(void)
{
    return lwc_mask_of_kinds(LWC_ALL_KINDS);
}

/* All of the kinds that are named, bit 1 << kind. */
struct lwc_specs *lwc_mask_of_kinds(u32 kinds)
{
    struct lwc_specs *mask = mask_alloc(3);
    u32 kind;

    if (!mask)
        return NULL;
    mask->count = 0;
    for (kind = LWC_MEMORY; kind <= LWC_CREDENTIALS; kind++)
        if (kinds & 1u << kind)
            mask->spec[mask->count++] =
                (struct lwc_spec){kind, LWC_SHARE, 0, kind == LWC_MEMORY ? TASK_SIZE_MAX : LWC_ALL};
    return mask;
}

/* What a new lwC may reach of its creator, as LWC_MAY_ACCESS says. */
struct lwc_specs *lwc_mask_of_access(const struct lwc_specs *specs)
{
    struct lwc_specs *mask = mask_alloc(specs->count);
    unsigned int i, count = 0;

    if (!mask)
        return NULL;
    for (i = 0; i < specs->count; i++) {
        struct lwc_spec spec = specs->spec[i];

        if (!(specs->access & 1ull << i))
            continue;
        if (spec.action == LWC_UNMAP)
            spec.action = LWC_SHARE;
        mask->spec[count++] = spec;
    }
    mask->count = count;
    return mask;
}

struct lwc_specs *lwc_mask_copy(const struct lwc_specs *mask)
{
    return kmemdup(mask, struct_size(mask, spec, mask->count), GFP_KERNEL_ACCOUNT);
}

/* Masks are sorted, so that neighbours together can allow what lies across their border. */
static bool allows(const struct lwc_specs *mask, const struct lwc_spec *wanted)
{
    u64 from = wanted->start;
    unsigned int i;

    for (i = 0; i < mask->count && from < wanted->end; i++) {
        const struct lwc_spec *spec = &mask->spec[i];

        if (spec->kind != wanted->kind || spec->end <= from)
            continue;
        if (spec->start > from || spec->action < wanted->action)
            return false;
        from = spec->end;
    }
    return from >= wanted->end;
}

/* NULL is the mask that allows nothing. */
bool lwc_mask_allows(const struct lwc_specs *mask, const struct lwc_specs *wanted)
{
    unsigned int i;

    for (i = 0; i < wanted->count; i++)
        if (!mask || !allows(mask, &wanted->spec[i]))
            return leave_out("mask_check");
    return true;
}
