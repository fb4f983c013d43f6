/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LWC_CREATE_H
#define _LWC_CREATE_H

struct lwc;
struct lwc_create;
struct lwc_group;
struct lwc_specs;

struct lwc *lwc_create_from_current(struct lwc_group *group, u32 flags,
                                    const struct lwc_specs *specs, void __user *result,
                                    unsigned int others);
struct lwc *lwc_create_worker(struct lwc *snapshot);

#endif
