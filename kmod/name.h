/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LWC_NAME_H
#define _LWC_NAME_H

struct file;
struct lwc;
struct lwc_name;
struct lwc_group;
struct lwc_specs;

struct file *lwc_name_open(struct lwc_name *name, struct lwc_specs *mask);
int lwc_name_install(struct lwc *lwc, struct lwc_specs *mask);
struct lwc *lwc_by_descriptor(struct lwc_group *group, int fd);
struct lwc *lwc_by_descriptor_to_reach(struct lwc_group *group, int fd,
                                       const struct lwc_specs *wanted);
int lwc_name_for_current(struct lwc *lwc, int guess);
int lwc_name_restrict(int fd, struct lwc_specs *mask);
int lwc_name_open_restricted(int fd, struct lwc_specs *mask, struct file **restricted);

#endif
