/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LWC_SPECS_H
#define _LWC_SPECS_H

#include "uapi/lwc.h"

/* Resource specifications, checked: sorted by kind and start, nothing overlaps. */
struct lwc_specs {
    unsigned int count;
    u64 access; /* bit by index: had LWC_MAY_ACCESS, which is not in the action any more */
    struct lwc_spec spec[];
};

struct lwc_specs *lwc_specs_read(const void __user *from, u32 count, u32 flags);
const struct lwc_spec *lwc_specs_find(const struct lwc_specs *specs, u32 kind, u32 action);
const struct lwc_spec *lwc_specs_has(const struct lwc_specs *specs, u32 kind);

#endif
