/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What may be reached of an lwC: resource specifications whose action is the most that is allowed.
 */
#ifndef _LWC_MASK_H
#define _LWC_MASK_H

#include <linux/types.h>

#include "uapi/lwc.h"

#define LWC_ALL_KINDS (1u << LWC_MEMORY | 1u << LWC_FILES | 1u << LWC_CREDENTIALS)

struct lwc_specs;

struct lwc_specs *lwc_mask_everything(void);
struct lwc_specs *lwc_mask_of_kinds(u32 kinds);
struct lwc_specs *lwc_mask_of_access(const struct lwc_specs *specs);
struct lwc_specs *lwc_mask_copy(const struct lwc_specs *mask);
bool lwc_mask_allows(const struct lwc_specs *mask, const struct lwc_specs *wanted);

#endif
