/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LWC_SWITCH_H
#define _LWC_SWITCH_H

struct lwc_group;
struct lwc;
struct lwc_entry;
struct lwc_switch;

int lwc_switch_to(struct lwc_group *group, struct lwc *to, const struct lwc_switch *with,
                  const struct lwc_entry *left);
void lwc_switch_to_root(struct lwc_group *group);

#endif
