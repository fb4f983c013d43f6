/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LWC_SAFEPOINT_H
#define _LWC_SAFEPOINT_H

struct list_head;
struct lwc;
struct lwc_group;
struct lwc_safepoint;
struct lwc_specs;

int lwc_safepoint_wait(struct lwc_group *group, struct lwc_safepoint __user *result);

int lwc_safepoint_take(struct list_head *threads, const struct lwc_specs *specs,
                       unsigned int wanted);
int lwc_safepoint_prepare(struct list_head *threads, const struct lwc *lwc,
                          const struct lwc_specs *specs);
void lwc_safepoint_give_back(struct list_head *threads);
void lwc_safepoint_finish(struct list_head *threads, struct lwc *lwc, const struct lwc_specs *specs,
                          int fd);

#endif
